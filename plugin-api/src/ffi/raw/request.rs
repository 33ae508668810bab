//! The requests that a test passes to a slot.

use crate::ffi::transport;

/// The content of a slice, or an invalid slice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bytes {
    /// These bytes, in a slice that follows the contract.
    Valid(Vec<u8>),
    /// NULL with this length.
    Null(usize),
}

impl Bytes {
    fn view(&self) -> &[u8] {
        match self {
            Self::Valid(bytes) => bytes,
            Self::Null(_) => &[],
        }
    }
}

impl<B: Into<Vec<u8>>> From<B> for Bytes {
    fn from(bytes: B) -> Self {
        Self::Valid(bytes.into())
    }
}

/// A request for a slot.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) head: Bytes,
    pub(super) body: Bytes,
    pub(super) credit: u32,
    pub(super) timeout_ms: u64,
    pub(super) newer: bool,
    pub(super) loan: Option<LoanKind>,
}

/// The kind of memory that a slot borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoanKind {
    /// Memory that becomes inaccessible when the slot returns.
    Fleeting,
    /// Memory that ends at the end of a page, before an inaccessible page.
    Guarded,
}

impl Request {
    /// Returns a request with this head and body, without credit and without a deadline.
    pub fn new(head: impl Into<Bytes>, body: impl Into<Bytes>) -> Self {
        Self { head: head.into(), body: body.into(), credit: 0, timeout_ms: 0, newer: false, loan: None }
    }

    /// Sets the number of chunks that the call may send before it gets more credit.
    #[must_use]
    pub fn with_credit(mut self, credit: u32) -> Self {
        self.credit = credit;
        self
    }

    /// Sets the time until the caller's deadline, in milliseconds.
    #[must_use]
    pub fn with_timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// Passes the request as a newer host does: with unknown members at its end.
    #[must_use]
    pub fn newer(mut self) -> Self {
        self.newer = true;
        self
    }

    /// Passes the request in memory that ends at the end of a page, before an inaccessible page.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.loan = Some(LoanKind::Guarded);
        self
    }

    /// Passes the request in memory that becomes inaccessible when the slot returns.
    #[must_use]
    pub fn fleeting(mut self) -> Self {
        self.loan = Some(LoanKind::Fleeting);
        self
    }

    /// Returns the request as a transport takes it, in ordinary memory.
    pub(super) fn view(&self) -> transport::Request<'_> {
        let Self { credit, timeout_ms, .. } = *self;
        transport::Request { credit, timeout_ms, head: self.head.view(), body: self.body.view() }
    }
}
