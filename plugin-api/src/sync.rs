//! Locks mutexes, even if they are poisoned by a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, even if it is poisoned because a thread panicked while it held the lock.
///
/// This function is for data that a panic cannot leave half changed, such as a map that is changed by single inserts.
///
/// ```
/// use std::sync::Mutex;
/// use mlflow_deploy_plugin_api::sync;
///
/// let calls = Mutex::new(vec![1]);
/// sync::lock(&calls).push(2);
/// assert_eq!(*sync::lock(&calls), [1, 2]);
/// ```
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_of_a_poisoned_mutex_succeeds() {
        let mutex = Mutex::new(1);
        let poison = || {
            let _guard = lock(&mutex);
            panic!("while the lock is held");
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(poison)).unwrap_err();
        assert!(mutex.is_poisoned());
        assert_eq!(*lock(&mutex), 1);
    }
}
