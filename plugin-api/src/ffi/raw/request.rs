//! What a slot is called with.

use crate::ffi::seam;

/// The bytes of a slice, or a slice that no host would make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bytes {
    /// These bytes, lent as the contract says.
    Lent(Vec<u8>),
    /// NULL and this length.
    Null(usize),
}

impl Bytes {
    fn said(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Null(_) => &[],
        }
    }
}

impl<B: Into<Vec<u8>>> From<B> for Bytes {
    fn from(bytes: B) -> Self {
        Self::Lent(bytes.into())
    }
}

/// A request to be made.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) head: Bytes,
    pub(super) body: Bytes,
    pub(super) credit: u32,
    pub(super) timeout_ms: u64,
    pub(super) newer: bool,
    pub(super) loan: Option<Kind>,
}

/// What is particular about the memory that is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is gone as soon as the slot returns.
    Fleeting,
    /// It ends where a page ends that nobody may read beyond.
    Guarded,
}

impl Request {
    /// A request with this head and this body, without credit and without a deadline.
    pub fn new(head: impl Into<Bytes>, body: impl Into<Bytes>) -> Self {
        Self { head: head.into(), body: body.into(), credit: 0, timeout_ms: 0, newer: false, loan: None }
    }

    /// Lets it send so many chunks to begin with.
    #[must_use]
    pub fn with_credit(mut self, credit: u32) -> Self {
        self.credit = credit;
        self
    }

    /// Says how many milliseconds are left.
    #[must_use]
    pub fn with_timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// Passes a request of a newer version, with members at its end that this one does not know.
    #[must_use]
    pub fn newer(mut self) -> Self {
        self.newer = true;
        self
    }

    /// Lends memory that ends where a page ends, with nothing behind it.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.loan = Some(Kind::Guarded);
        self
    }

    /// Lends memory that is gone as soon as the slot returns.
    #[must_use]
    pub fn fleeting(mut self) -> Self {
        self.loan = Some(Kind::Fleeting);
        self
    }

    /// What it says, without what is particular about how that is lent.
    pub(super) fn said(&self) -> seam::Request<'_> {
        let Self { credit, timeout_ms, .. } = *self;
        seam::Request { credit, timeout_ms, head: self.head.said(), body: self.body.said() }
    }
}
