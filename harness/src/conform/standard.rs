//! What a module is judged by: its contract, and what this project has for the definition that the contract names.

use kernel_cases::case::Entry;
use kernel_core::Kernel;
use kernel_pack::{PackKernel, contract::Contract};
use std::sync::Arc;

/// What a module is judged by.
#[derive(Clone, Debug)]
pub struct Standard {
    /// What the kernel promises, or why nobody can tell.
    pub contract: Result<Arc<Contract>, String>,
    /// The kernel of this project that the definition is, with as many lanes as the module is built for: its formula, statuses and tables are the
    /// standard.
    pub definition: Option<&'static Kernel>,
    /// Whether the module says that it is compiled from this project's source: then it gives the same bits.
    pub same_source: bool,
}

impl Standard {
    /// Of a module of a kernel that is built with these features.
    pub fn of(kernel: &PackKernel, features: &[String]) -> Self {
        let contract = match kernel.contract() {
            Ok(contract) => contract.clone(),
            Err(reason) => {
                return Self {
                    contract: Err(reason.to_owned()),
                    definition: None,
                    same_source: false,
                };
            }
        };
        let definition = contract.builtin();
        let definition = definition.and_then(|id| kernel_core::variant(id, features));
        let source = format!("kernel-core@{}", kernel_core::VERSION);
        Self {
            same_source: definition.is_some() && contract.source.as_ref() == Some(&source),
            definition,
            contract: Ok(Arc::new(contract)),
        }
    }

    /// Of a module that is compiled from this project's source.
    #[cfg(test)]
    pub(crate) fn of_source(id: &str) -> Self {
        let definitions = kernel_pack::contract::definitions();
        let definition = definitions.iter().find(|one| one.kernel == id).unwrap();
        Self {
            contract: Ok(Arc::new(definition.contract().unwrap())),
            definition: kernel_core::kernel(id),
            same_source: true,
        }
    }

    /// The same source natively, where the module is compiled from it.
    pub fn native(&self) -> Option<&'static Kernel> {
        self.definition.filter(|_| self.same_source)
    }

    /// The contract, where nothing but it says what the kernel does.
    pub fn open(&self) -> Option<&Arc<Contract>> {
        match self.definition {
            Some(_) => None,
            None => self.contract.as_ref().ok(),
        }
    }

    /// Whether cases of an entry are asked of a module that exports a gradient or not. What the source natively refuses is refused; the gradient of
    /// other people's kernels is judged where the definition has one.
    pub fn asks(&self, entry: Entry, exports_gradient: bool) -> bool {
        match entry {
            Entry::Forward => true,
            Entry::Backward => {
                exports_gradient
                    && self
                        .definition
                        .is_some_and(|kernel| kernel.has_backward || self.same_source)
            }
        }
    }

    /// The gradient flag of `kernel_info` that is due, where it is known from the source.
    pub fn gradient_due(&self, exports_gradient: bool) -> Option<bool> {
        self.native()
            .map(|kernel| kernel.has_backward && exports_gradient)
    }
}
