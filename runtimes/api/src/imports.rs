//! Guests: modules that import functions of their embedder. Kernels import nothing and never come here.

use crate::{Budget, Error, Instance, Result, Stage, Trap};

/// A function that a guest may import. Its parameters and its one result are i32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name within the name space.
    pub name: &'static str,
    /// How many parameters it has.
    pub parameters: usize,
}

/// All that a guest may import: functions of one name space. A guest that imports anything else is refused when it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imports {
    /// The name space.
    pub module: &'static str,
    /// Its functions; a function is known by its place in this list.
    pub functions: &'static [Import],
}

impl Imports {
    /// The place of the function that a module imports.
    ///
    /// # Errors
    /// [`Error::Rejected`] where it is none of these.
    pub fn index(&self, module: &str, name: &str) -> Result<usize> {
        let mut functions = self.functions.iter();
        let found = functions.position(|function| module == self.module && name == function.name);
        found.ok_or_else(|| Self::refused(module, name, "it is not provided"))
    }

    /// The error of an import that an engine cannot link, and why.
    pub fn refused(module: &str, name: &str, why: &str) -> Error {
        Error::Rejected {
            stage: Stage::Compile,
            message: format!("import of `{name}` from `{module}`: {why}"),
        }
    }

    /// The error of an import of another type than the function at this place has.
    pub fn of_another_type(&self, index: usize) -> Error {
        let function = &self.functions[index];
        let parameters = function.parameters;
        let why = format!("it is a function of {parameters} i32 with an i32 as its result");
        Self::refused(self.module, function.name, &why)
    }
}

/// The embedder's side of the functions that one instance of a guest imports.
pub trait Functions: Send {
    /// Carries out a function: its place in [`Imports::functions`], as many arguments as it has parameters, and the memory that the
    /// guest exports as `memory`; none if it exports none.
    ///
    /// # Errors
    /// A trap that ends the guest's call, as a trap of its own would.
    fn call(
        &mut self,
        function: usize,
        arguments: &[u32],
        memory: Option<&mut [u8]>,
    ) -> std::result::Result<i32, Trap>;
}

/// A compiled guest.
pub trait Guest: Send + Sync {
    /// Makes a fresh instance under `budget`, with functions of its own. `functions` is asked for anew each time that an engine begins an
    /// instantiation from its start: what an attempt before did with its functions is gone with them.
    ///
    /// A budget of ticks holds for the guest's code and for the functions that it calls in sum: the guest is stopped soon after it comes back from
    /// one too late. A function itself is not interrupted. A budget of fuel counts the guest's code only.
    ///
    /// # Errors
    /// As [`Module::instantiate`](crate::Module::instantiate).
    fn instantiate(
        &self,
        budget: Budget,
        functions: &dyn Fn() -> Box<dyn Functions>,
    ) -> Result<Box<dyn Instance + Send>>;
}
