//! Keeps panics inside: the one place where a plugin's code is entered.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

thread_local! {
    /// How many `contain`s this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Where the last panic of this thread was raised.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a plugin's code. A panic becomes its message, with the place in the source where that is known.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
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

/// Takes the message out of a panic's payload.
fn message(payload: Box<dyn Any + Send>) -> String {
    let message = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    };
    // A payload may panic as it is dropped, and so may the payload of that panic: the second one is leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        let _leaked = ManuallyDrop::new(second);
    }
    message
}

/// Notes where contained panics are raised instead of printing them; others are printed as before.
///
/// For a loaded library only, whose panic hook is its own: in a plain program the hook is the program's.
pub(crate) fn keep_panics_off_stderr() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if DEPTH.get() == 0 {
            print(info);
        } else {
            PLACE.set(info.location().map(ToString::to_string));
        }
    }));
}
