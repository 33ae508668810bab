//! Locks that ignore poisoning.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also if a thread panicked while it held the lock.
///
/// For data that is valid after every statement that changes it, such as a map with single inserts.
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
