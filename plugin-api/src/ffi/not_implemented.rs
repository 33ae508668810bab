//! The future of an operation that a client does not implement, which is known by its layout.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Error, ErrorCode, Result};

/// The alignment of [`NotImplemented`]. No other future has no size and this alignment: a future of an `async fn` has a
/// state.
pub(super) const MARK: usize = 64;

/// The future of an operation that a client does not implement. It returns the error `NOT_IMPLEMENTED`.
#[repr(align(64))]
pub(crate) struct NotImplemented<T> {
    _output: PhantomData<fn() -> T>,
}

impl<T> NotImplemented<T> {
    pub(crate) const NEW: Self = Self { _output: PhantomData };
}

impl<T> Future for NotImplemented<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(Error::new(ErrorCode::NOT_IMPLEMENTED, "the client does not implement the operation")))
    }
}
