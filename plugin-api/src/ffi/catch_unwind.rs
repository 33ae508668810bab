//! Catches the panics of a plugin. All code of the plugin runs inside `catch_panic`.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

thread_local! {
    /// The number of nested calls of `catch_panic` on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The source location of this thread's last panic.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs code of a plugin. If the code panics, returns the message of the panic as the error, with the source location
/// if it is known.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let place = PLACE.take();
        let message = message(payload);
        match place {
            Some(place) => format!("{message} (at {place})"),
            None => message,
        }
    });
    DEPTH.set(DEPTH.get() - 1);
    outcome
}

/// Returns the message in the payload of a panic. Drops the payload.
fn message(payload: Box<dyn Any + Send>) -> String {
    let message = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    };
    // Dropping a payload may panic, and so may dropping the payload of that second panic. The second payload is leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        let _leaked = ManuallyDrop::new(second);
    }
    message
}

/// Installs a panic hook. For a panic that `catch_panic` catches, the hook records the source location and prints
/// nothing. If `RUST_BACKTRACE` requests a backtrace, the hook passes it to `report`. The hook prints any other panic as
/// usual.
///
/// Only a plugin in a loaded library calls this function, because such a library has its own panic hook, separate from
/// the program's.
pub(crate) fn keep_panics_off_stderr(report: fn(Backtrace)) {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if DEPTH.get() == 0 {
            print(info);
        } else {
            PLACE.set(info.location().map(ToString::to_string));
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                report(backtrace);
            }
        }
    }));
}
