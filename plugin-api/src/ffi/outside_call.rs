//! Sends events that belong to no call, such as those of a thread that the plugin started.
//!
//! Such an event goes to the host of the first instance that is not shut down. Only a loaded library sends one. In other
//! programs, such as a plugin's tests, these events are discarded, because instances of several tests run there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::host::Host;
use crate::event::{Event, Level};
use crate::sync;

static IS_LIBRARY: AtomicBool = AtomicBool::new(false);
/// The hosts of the instances that are not shut down, in the order of their `init`.
static HOSTS: Mutex<Vec<Host>> = Mutex::new(Vec::new());

/// Enables events outside of calls, for a library that a host has loaded.
pub(super) fn enable() {
    IS_LIBRARY.store(true, Ordering::Relaxed);
}

pub(super) fn add(host: Host) {
    if IS_LIBRARY.load(Ordering::Relaxed) {
        sync::lock(&HOSTS).push(host);
    }
}

pub(super) fn remove(host: Host) {
    sync::lock(&HOSTS).retain(|other| !other.is(host));
}

/// Sends an event that belongs to no call. Discards it if there is no instance.
pub(crate) fn tell(level: Level, event: &Event) {
    // The host may call the plugin while it receives the event, so no lock is held then.
    let host = sync::lock(&HOSTS).first().copied();
    if let Some(host) = host {
        host.event(0, level, event);
    }
}
