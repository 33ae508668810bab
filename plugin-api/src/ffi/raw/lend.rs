//! Lends memory to a plugin. The memory either ends directly before an inaccessible page (guarded), or becomes
//! inaccessible when the loan ends (fleeting).
//!
//! A plugin crashes at once if it reads past the end of guarded memory, or if it reads fleeting memory after the loan.

use std::ptr::null_mut;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use rustix::param::page_size;

use super::request::LoanKind;

/// Memory that is lent to a plugin. It occupies pages of its own.
pub(super) struct Loan {
    kind: LoanKind,
    start: *mut u8,
    /// The size of the lent pages in bytes, without the inaccessible page after them.
    length: usize,
    bytes: usize,
}

impl Loan {
    /// Copies bytes to new pages, which are lent to a plugin. A guarded loan has the bytes at the end of the pages, a
    /// fleeting loan at their start.
    ///
    /// # Panics
    /// Panics if the system has no memory.
    pub(super) fn new(bytes: &[u8], kind: LoanKind) -> Self {
        let page = page_size();
        let length = (bytes.len() / page + 1) * page;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system chooses a free address.
        let start = unsafe { mmap_anonymous(null_mut(), length + page, access, MapFlags::PRIVATE) };
        let start = start.expect("the system has memory").cast::<u8>();
        let loan = Self { kind, start, length, bytes: bytes.len() };
        // SAFETY: the pages are new and larger than the bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), loan.as_ptr(), bytes.len()) };
        // SAFETY: one page more than `length` is mapped.
        let guard = unsafe { start.add(length) };
        // SAFETY: no other code uses the new page.
        unsafe { mprotect(guard.cast(), page, MprotectFlags::empty()) }.expect("the page is mapped");
        loan
    }

    /// Returns the address of the first lent byte.
    pub(super) fn as_ptr(&self) -> *mut u8 {
        let skipped = match self.kind {
            LoanKind::Fleeting => 0,
            LoanKind::Guarded => self.length - self.bytes,
        };
        // SAFETY: the pages are larger than the bytes.
        unsafe { self.start.add(skipped) }
    }
}

/// Makes the pages of a fleeting loan inaccessible. The pages stay mapped, so that a late access cannot reach other
/// memory. The pages of a guarded loan stay readable.
impl Drop for Loan {
    fn drop(&mut self) {
        if self.kind == LoanKind::Fleeting {
            // SAFETY: the loan has ended; a plugin that still reads it breaks the contract.
            let _mapped = unsafe { mprotect(self.start.cast(), self.length, MprotectFlags::empty()) };
        }
    }
}
