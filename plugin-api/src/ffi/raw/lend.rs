//! Memory that is lent to a plugin and ends at the end of a page, or is gone when it was lent.
//!
//! Whoever reads beyond it, or keeps it, crashes where it does so, every time.

use std::ptr::null_mut;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use rustix::param::page_size;

use super::request::Kind;

/// Pages of one loan.
pub(super) struct Loan {
    kind: Kind,
    start: *mut u8,
    /// Without the page that guards them.
    length: usize,
    bytes: usize,
}

impl Loan {
    /// Copies bytes to fresh pages: to their end where they are guarded, else to their beginning.
    ///
    /// # Panics
    /// Where the system has no memory left.
    pub(super) fn new(bytes: &[u8], kind: Kind) -> Self {
        let page = page_size();
        let length = (bytes.len() / page + 1) * page;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system chooses the place, where nothing else is.
        let start = unsafe { mmap_anonymous(null_mut(), length + page, access, MapFlags::PRIVATE) };
        let start = start.expect("memory for what is lent").cast::<u8>();
        let loan = Self { kind, start, length, bytes: bytes.len() };
        // SAFETY: the pages are longer than the bytes, and belong to nobody else.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), loan.as_ptr(), bytes.len()) };
        // SAFETY: one page more than `length` was mapped.
        let guard = unsafe { start.add(length) };
        // SAFETY: nobody has the page that is closed here.
        unsafe { mprotect(guard.cast(), page, MprotectFlags::empty()) }.expect("a page that was just mapped");
        loan
    }

    /// Where the bytes begin.
    pub(super) fn as_ptr(&self) -> *mut u8 {
        let skipped = match self.kind {
            Kind::Fleeting => 0,
            Kind::Guarded => self.length - self.bytes,
        };
        // SAFETY: the pages are longer than the bytes.
        unsafe { self.start.add(skipped) }
    }
}

/// What was guarded stays, so that whoever keeps it does so in peace; what is fleeting goes, and its addresses stay
/// taken, so that a late reader meets nothing else there.
impl Drop for Loan {
    fn drop(&mut self) {
        if self.kind == Kind::Fleeting {
            // SAFETY: the loan has ended; whoever still reads it breaks the contract.
            let _mapped = unsafe { mprotect(self.start.cast(), self.length, MprotectFlags::empty()) };
        }
    }
}
