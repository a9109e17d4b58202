//! WAMR's C interface as owned values. All unsafe code of this crate stands here.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_char},
    ptr::NonNull,
    sync::{Arc, OnceLock},
    thread::ThreadId,
    time::{Duration, Instant},
};
use wamrx_sys as sys;

/// Bytes in a page of linear memory.
pub(crate) const PAGE: u64 = 65_536;

/// Native stack that stays free below the limit: WAMR's own frames, its message formatting and signal-free reserves.
const NATIVE_STACK_RESERVE: usize = 64 * 1024;

/// WAMR's text buffers are of 128 bytes; longer texts are cut off by WAMR.
const ERROR_TEXT_BYTES: usize = 256;

/// The process-wide runtime: set up once, never torn down, because modules and instances refer to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runtime(());

impl Runtime {
    /// Sets WAMR up on the first call; an error is the reason why that failed.
    pub(crate) fn new() -> Result<Self, &'static str> {
        static READY: OnceLock<bool> = OnceLock::new();
        let ready = READY.get_or_init(|| {
            let mut arguments = sys::RuntimeInitArgs {
                mem_alloc_type: sys::Alloc_With_System_Allocator,
                ..Default::default()
            };
            // SAFETY: the arguments are valid for the call, and the lock makes it the only one.
            unsafe {
                let ready = sys::wasm_runtime_full_init(&mut arguments);
                // WAMR logs to stdout, which in a worker carries the protocol.
                sys::wasm_runtime_set_log_level(sys::WASM_LOG_LEVEL_FATAL);
                ready
            }
        });
        if *ready {
            Ok(Self(()))
        } else {
            Err("WAMR could not be set up")
        }
    }

    /// The version of the linked WAMR.
    pub(crate) fn version(self) -> String {
        let (mut major, mut minor, mut patch) = (0, 0, 0);
        // SAFETY: three valid places to write to.
        unsafe { sys::wasm_runtime_get_version(&mut major, &mut minor, &mut patch) };
        format!("{major}.{minor}.{patch}")
    }

    /// Whether the linked WAMR can load ahead-of-time compiled modules: only then does its loader for them answer.
    pub(crate) fn loads_aot(self) -> bool {
        let no_sections = b"\0aot\x05\0\0\0".to_vec();
        match self.load(no_sections) {
            Ok(_) => true,
            Err(text) => text.starts_with("AOT module load failed"),
        }
    }

    /// Loads a module; an error is WAMR's own text.
    pub(crate) fn load(self, bytes: Vec<u8>) -> Result<Arc<Module>, String> {
        let mut bytes = bytes.into_boxed_slice();
        let size = u32::try_from(bytes.len()).map_err(|_| "a module beyond 4 GiB".to_owned())?;
        let mut text = ErrorText::default();
        // SAFETY: the buffer is writable, `size` bytes long, and lives as long as the module: both are fields of `Module`.
        let handle = unsafe {
            sys::wasm_runtime_load(bytes.as_mut_ptr(), size, text.pointer(), text.size())
        };
        match NonNull::new(handle) {
            Some(handle) => Ok(Arc::new(Module {
                handle,
                _bytes: bytes,
            })),
            None => Err(text.to_string()),
        }
    }
}

/// A loaded module.
pub(crate) struct Module {
    handle: NonNull<sys::WASMModuleCommon>,
    /// WAMR keeps pointers into these and writes to them.
    _bytes: Box<[u8]>,
}

// SAFETY: a loaded module is read only from here on, and WAMR's loader, unloader and lookups take locks of their own where they touch what
// modules share.
unsafe impl Send for Module {}
// SAFETY: as above; instances are made of it under WAMR's own lock of its list of instances.
unsafe impl Sync for Module {}

impl Module {
    /// Whether this was loaded from machine code.
    pub(crate) fn is_aot(&self) -> bool {
        // SAFETY: the handle is valid until drop.
        unsafe {
            sys::wasm_runtime_get_module_package_type(self.handle.as_ptr()) == sys::Wasm_Module_AoT
        }
    }

    /// Number of imports that WAMR sees.
    pub(crate) fn import_count(&self) -> i32 {
        // SAFETY: the handle is valid until drop.
        unsafe { sys::wasm_runtime_get_import_count(self.handle.as_ptr()) }
    }

    /// Makes an instance with an execution environment of `stack_bytes`; an error is WAMR's own text.
    pub(crate) fn instantiate(self: &Arc<Self>, stack_bytes: u32) -> Result<Instance, String> {
        let arguments = sys::InstantiationArgs {
            default_stack_size: stack_bytes,
            // No heap of the host's inside linear memory, and no cap: the module's own maximum is the limit already.
            host_managed_heap_size: 0,
            max_memory_pages: 0,
        };
        let mut text = ErrorText::default();
        // SAFETY: the module handle is valid, and kept alive by the `Rc` in `Instance`.
        let handle = unsafe {
            sys::wasm_runtime_instantiate_ex(
                self.handle.as_ptr(),
                &arguments,
                text.pointer(),
                text.size(),
            )
        };
        let Some(handle) = NonNull::new(handle) else {
            return Err(text.to_string());
        };
        // SAFETY: the instance handle is valid.
        let environment =
            unsafe { sys::wasm_runtime_create_exec_env(handle.as_ptr(), stack_bytes) };
        let Some(environment) = NonNull::new(environment) else {
            // SAFETY: made above, has no environment, and is not used again.
            unsafe { sys::wasm_runtime_deinstantiate(handle.as_ptr()) };
            return Err("no execution environment".to_owned());
        };
        Ok(Instance {
            handle,
            environment,
            is_aot: self.is_aot(),
            bounded_from: None,
            _module: Arc::clone(self),
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: loaded by `wasm_runtime_load`; every instance holds an `Rc` to this, so there is none any more.
        unsafe { sys::wasm_runtime_unload(self.handle.as_ptr()) };
    }
}

/// An instance with its execution environment, for one thread at a time.
pub(crate) struct Instance {
    handle: NonNull<sys::WASMModuleInstanceCommon>,
    environment: NonNull<sys::WASMExecEnv>,
    /// What the module says, kept because every call asks.
    is_aot: bool,
    /// The thread, and the address in its stack, that the native stack was last bounded from: calls in a row come from the same one.
    bounded_from: Option<(ThreadId, usize)>,
    /// Must outlive the instance.
    _module: Arc<Module>,
}

// SAFETY: `wasm_runtime_call_wasm` takes the calling thread's identity and stack at each call, and `&mut self` keeps calls apart.
unsafe impl Send for Instance {}

/// A function of the instance that it was looked up in.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    handle: sys::wasm_function_inst_t,
    /// Number of i32 parameters.
    pub(crate) parameters: usize,
    /// Number of i32 results.
    pub(crate) results: usize,
}

// SAFETY: it is used with its instance alone, which is borrowed for a call.
unsafe impl Send for Function {}

impl Instance {
    /// Looks a function up whose parameters and results are all i32; an error is the function's signature or absence.
    pub(crate) fn function(&self, name: &str) -> Result<Function, String> {
        let name = CString::new(name).map_err(|_| "no such function".to_owned())?;
        // SAFETY: handle and name are valid. The arrays are as long as WAMR says the lists are, which are at most 65535.
        unsafe {
            let handle = sys::wasm_runtime_lookup_function(self.handle.as_ptr(), name.as_ptr());
            if handle.is_null() {
                return Err("no such function".to_owned());
            }
            let parameters = sys::wasm_func_get_param_count(handle, self.handle.as_ptr()) as usize;
            let results = sys::wasm_func_get_result_count(handle, self.handle.as_ptr()) as usize;
            let mut kinds: Vec<sys::wasm_valkind_t> = vec![u8::MAX; parameters + results];
            let (inward, outward) = kinds.split_at_mut(parameters);
            sys::wasm_func_get_param_types(handle, self.handle.as_ptr(), inward.as_mut_ptr());
            sys::wasm_func_get_result_types(handle, self.handle.as_ptr(), outward.as_mut_ptr());
            if kinds.iter().any(|kind| u32::from(*kind) != sys::WASM_I32) {
                return Err(format!(
                    "a function of {parameters} parameters and {results} results, not all of them i32"
                ));
            }
            Ok(Function {
                handle,
                parameters,
                results,
            })
        }
    }

    /// Calls `function` with exactly its parameters; the result is the first one, or 0 if it has none.
    /// An error is WAMR's own text. `native_stack_bytes` is what machine code may use of this thread's stack.
    pub(crate) fn call(
        &mut self,
        function: Function,
        arguments: &[u32],
        native_stack_bytes: usize,
    ) -> Result<u32, String> {
        debug_assert_eq!(arguments.len(), function.parameters);
        if self.is_aot {
            self.bound_native_stack(native_stack_bytes);
        }
        // Parameters go in and results come out through the same cells.
        let mut cells = match *arguments {
            [] => [0, 0],
            [first] => [first, 0],
            [first, second] => [first, second],
            _ => return Err("a call with more than two arguments".to_owned()),
        };
        if function.results > cells.len() {
            return Err("a call with more than two results".to_owned());
        }
        // SAFETY: environment and function belong to this instance; the cells are enough for parameters and results,
        // which are all i32 and so take one cell each.
        let done = unsafe {
            sys::wasm_runtime_call_wasm(
                self.environment.as_ptr(),
                function.handle,
                arguments.len() as u32,
                cells.as_mut_ptr(),
            )
        };
        if done {
            Ok(if function.results == 0 { 0 } else { cells[0] })
        } else {
            Err(self.failure())
        }
    }

    #[cold]
    fn failure(&self) -> String {
        self.exception()
            .unwrap_or_else(|| "failed without an exception".to_owned())
    }

    /// Calls a function of one parameter and one result so often with WAMR's own interface and nothing else: how long it
    /// took, and all results joined by OR. Machine code may then use the thread's whole stack.
    pub(crate) fn call_by_hand(
        &mut self,
        function: Function,
        argument: u32,
        iterations: u64,
    ) -> Result<(Duration, i32), String> {
        debug_assert_eq!((function.parameters, function.results), (1, 1));
        let mut returned = 0;
        let start = Instant::now();
        for _ in 0..iterations {
            let mut cell = argument;
            // SAFETY: environment and function belong to this instance; one i32 parameter and one i32 result share the cell.
            let done = unsafe {
                sys::wasm_runtime_call_wasm(
                    self.environment.as_ptr(),
                    function.handle,
                    1,
                    &raw mut cell,
                )
            };
            if !done {
                return Err(self.failure());
            }
            returned |= cell.cast_signed();
        }
        Ok((start.elapsed(), returned))
    }

    /// Machine code recurses on the thread's own stack: WAMR is told the address that it must not go below.
    fn bound_native_stack(&mut self, bytes: usize) {
        let here = 0_u8;
        let here = std::ptr::from_ref(&here).cast_mut();
        let from = Some((std::thread::current().id(), here.addr()));
        if self.bounded_from == from {
            return;
        }
        self.bounded_from = from;
        let boundary = match stacker::remaining_stack() {
            Some(left) => here.wrapping_sub(bytes.min(left.saturating_sub(NATIVE_STACK_RESERVE))),
            // WAMR then takes the whole stack of the thread as the limit.
            None => std::ptr::null_mut(),
        };
        // SAFETY: the environment is valid; the boundary is compared with and never read through.
        unsafe {
            sys::wasm_runtime_set_native_stack_boundary(self.environment.as_ptr(), boundary);
        }
    }

    /// The text of the instance's exception, if there is one.
    fn exception(&self) -> Option<String> {
        // SAFETY: the handle is valid; WAMR's answer is null or a string inside the instance, copied at once.
        unsafe {
            let text = sys::wasm_runtime_get_exception(self.handle.as_ptr());
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }

    /// Forgets a termination that came after the call it was meant for.
    pub(crate) fn clear_exception(&mut self) {
        // SAFETY: the handle is valid.
        unsafe { sys::wasm_runtime_clear_exception(self.handle.as_ptr()) };
    }

    /// What stops this instance's calls from another thread. It must not be used after the instance is gone.
    pub(crate) fn terminator(&self) -> Terminator {
        Terminator(self.handle)
    }

    /// Value of an exported i32 global; an error says what it is instead.
    pub(crate) fn global(&self, name: &str) -> Result<i32, String> {
        let name = CString::new(name).map_err(|_| "no such global".to_owned())?;
        let mut global = sys::wasm_global_inst_t::default();
        // SAFETY: handle, name and place are valid; an i32 global's data is four readable bytes of the instance.
        unsafe {
            if !sys::wasm_runtime_get_export_global_inst(
                self.handle.as_ptr(),
                name.as_ptr(),
                &mut global,
            ) {
                return Err("no such global".to_owned());
            }
            if u32::from(global.kind) != sys::WASM_I32 {
                return Err("a global that is not an i32".to_owned());
            }
            Ok(global.global_data.cast::<i32>().read_unaligned())
        }
    }

    /// Grows memory 0; false if it stayed as it was.
    pub(crate) fn grow(&mut self, pages: u32) -> bool {
        // SAFETY: the handle is valid, and no slice into the memory lives.
        unsafe { sys::wasm_runtime_enlarge_memory(self.handle.as_ptr(), u64::from(pages)) }
    }

    /// Memory 0; empty if there is none. Valid until the instance runs or grows, which needs `&mut self`.
    pub(crate) fn memory(&self) -> &[u8] {
        let (base, length) = self.memory_parts();
        // SAFETY: WAMR's memory is `length` initialised bytes from `base`; only `&mut self` methods write or move it.
        unsafe { std::slice::from_raw_parts(base.as_ptr(), length) }
    }

    /// Memory 0, to write to; empty if there is none.
    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        let (base, length) = self.memory_parts();
        // SAFETY: as for `memory`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), length) }
    }

    fn memory_parts(&self) -> (NonNull<u8>, usize) {
        // SAFETY: the instance handle is valid, and so is a memory handle that is not null.
        let (base, bytes) = unsafe {
            let memory = sys::wasm_runtime_get_default_memory(self.handle.as_ptr());
            if memory.is_null() {
                return (NonNull::dangling(), 0);
            }
            let pages = sys::wasm_memory_get_cur_page_count(memory);
            (
                sys::wasm_memory_get_base_address(memory).cast::<u8>(),
                pages.saturating_mul(sys::wasm_memory_get_bytes_per_page(memory)),
            )
        };
        match (NonNull::new(base), usize::try_from(bytes)) {
            (Some(base), Ok(length)) => (base, length),
            _ => (NonNull::dangling(), 0),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: both were made by this instance and are not used again; the module goes after them.
        unsafe {
            sys::wasm_runtime_destroy_exec_env(self.environment.as_ptr());
            sys::wasm_runtime_deinstantiate(self.handle.as_ptr());
        }
    }
}

/// Stops an instance's calls from another thread.
pub(crate) struct Terminator(NonNull<sys::WASMModuleInstanceCommon>);

// SAFETY: `wasm_runtime_terminate` is made for calls from other threads: it takes WAMR's locks and sets flags.
unsafe impl Send for Terminator {}

impl Terminator {
    /// Makes the running or next call of the instance end with "terminated by user".
    pub(crate) fn terminate(&self) {
        // SAFETY: the watchdog calls this only between arming and disarming, while the instance is borrowed by its call.
        unsafe { sys::wasm_runtime_terminate(self.0.as_ptr()) };
    }
}

/// Where WAMR writes why it refuses.
struct ErrorText([c_char; ERROR_TEXT_BYTES]);

impl Default for ErrorText {
    fn default() -> Self {
        Self([0; ERROR_TEXT_BYTES])
    }
}

impl ErrorText {
    fn pointer(&mut self) -> *mut c_char {
        self.0.as_mut_ptr()
    }

    fn size(&self) -> u32 {
        ERROR_TEXT_BYTES as u32
    }
}

impl std::fmt::Display for ErrorText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: Vec<u8> = self
            .0
            .iter()
            // A C character is signed on x86_64 and unsigned on ARM.
            .map(|character| u8::from_ne_bytes(character.to_ne_bytes()))
            .take_while(|byte| *byte != 0)
            .collect();
        f.write_str(&String::from_utf8_lossy(&bytes))
    }
}
