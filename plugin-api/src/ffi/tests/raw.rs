//! Tests of a plugin with a host that passes invalid arguments. Every call gets exactly one reply.

use std::ffi::c_void;
use std::ptr::null;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::probe::plugin;
use crate::ErrorCode;
use crate::ffi::abi::{ABI, AbiRequest, AbiSlice, HostApi, PluginTable};

/// A host that records the plugin's replies.
struct FakeHost {
    table: PluginTable,
    handle: *mut c_void,
    replies: Receiver<(u64, u32, Vec<u8>)>,
}

unsafe extern "C" fn note_reply(ctx: *mut c_void, call: u64, status: u32, _head: AbiSlice, body: AbiSlice) {
    // SAFETY: `ctx` is the leaked sender.
    let replies = unsafe { &*ctx.cast::<Sender<(u64, u32, Vec<u8>)>>() };
    // SAFETY: the body is valid for this function.
    let body = unsafe { body.copy() };
    replies.send((call, status, body.unwrap())).unwrap();
}

fn host_api(ctx: *mut c_void) -> HostApi {
    HostApi {
        size: size_of::<HostApi>() as u32,
        abi: ABI,
        ctx,
        reply: Some(note_reply),
        chunk: None,
        event: None,
        isolate: None,
    }
}

impl FakeHost {
    fn new() -> Self {
        let (sender, replies) = channel();
        let sender: *mut Sender<_> = Box::leak(Box::new(sender));
        // SAFETY: the table of a plugin in this program.
        let table = unsafe { plugin().as_ptr().read() };
        let api = host_api(sender.cast());
        // SAFETY: the plugin copies the table.
        let handle = unsafe { table.init.unwrap()((&raw const api).cast()) };
        assert!(!handle.is_null());
        Self { table, handle, replies }
    }

    fn open(&self, client: u64, call: u64, request: Option<&AbiRequest>) {
        let request = request.map_or(null(), std::ptr::from_ref);
        // SAFETY: the request is NULL or valid.
        unsafe { self.table.open.unwrap()(self.handle, client, call, request) };
    }

    fn predict(&self, client: u64, call: u64, request: Option<&AbiRequest>) {
        let request = request.map_or(null(), std::ptr::from_ref);
        // SAFETY: the request is NULL or valid.
        unsafe { self.table.predict.unwrap()(self.handle, client, call, request) };
    }

    fn cancel(&self, call: u64) {
        // SAFETY: the pointer that `init` returned.
        unsafe { self.table.cancel.unwrap()(self.handle, call) };
    }

    fn next(&self) -> (u64, u32, String) {
        let (call, status, body) = self.replies.recv_timeout(Duration::from_secs(60)).unwrap();
        (call, status, String::from_utf8(body).unwrap())
    }

    fn opened(self) -> Self {
        self.open(1, 100, Some(&request(br#"{"target_uri":"probe"}"#, AbiSlice::EMPTY)));
        assert_eq!(self.next(), (100, 0, String::new()));
        self
    }
}

fn request(head: &[u8], body: AbiSlice) -> AbiRequest {
    AbiRequest { size: size_of::<AbiRequest>() as u32, credit: 0, timeout_ms: 0, head: AbiSlice::lend(head), body }
}

fn has_code(reply: &(u64, u32, String), call: u64, code: &ErrorCode) {
    assert_eq!((reply.0, reply.1), (call, 1), "{reply:?}");
    assert!(reply.2.contains(&format!(r#""code":"{code}""#)), "{reply:?}");
}

#[test]
fn an_invalid_request_gets_an_error_reply() {
    let host = FakeHost::new().opened();
    let null_with_length = AbiSlice { ptr: null(), len: 3 };
    let short = AbiRequest { size: 8, ..request(b"{}", AbiSlice::EMPTY) };
    let bad_slice = request(b"{}", null_with_length);
    let requests = [
        None,
        Some(&short),
        Some(&bad_slice),
        Some(&request(b"not JSON", AbiSlice::EMPTY)),
        Some(&request(b"[1]", AbiSlice::EMPTY)),
        Some(&request(br#"{"endpoint":1}"#, AbiSlice::EMPTY)),
        Some(&request(b"{\"endpoint\":\"\xff\"}", AbiSlice::EMPTY)),
    ];
    for (call, request) in (1..).zip(requests) {
        host.predict(1, call, request);
        has_code(&host.next(), call, &ErrorCode::INVALID_PARAMETER_VALUE);
    }
    host.predict(1, 50, Some(&request(b"", AbiSlice::EMPTY)));
    assert_eq!(host.next(), (50, 0, String::new()));
}

/// In an earlier version, the head of a request could be a list instead of an object, and a skipped string in it could
/// contain invalid UTF-8.
#[test]
fn a_head_that_is_not_an_object_in_utf_8_gets_an_error_reply() {
    let host = FakeHost::new().opened();
    let heads =
        [b"[]".as_slice(), b"null", b"[\"wait\"]", b" [null,null,{}]", b"{\"unknown\":\"\xff\"}", b"{\"\xff\":1}"];
    for (call, head) in (1..).zip(heads) {
        host.predict(1, call, Some(&request(head, AbiSlice::EMPTY)));
        has_code(&host.next(), call, &ErrorCode::INVALID_PARAMETER_VALUE);
        host.open(2, call + 100, Some(&request(head, AbiSlice::EMPTY)));
        has_code(&host.next(), call + 100, &ErrorCode::INVALID_PARAMETER_VALUE);
    }
}

#[test]
fn unknown_ids_have_no_effect() {
    let host = FakeHost::new().opened();
    host.cancel(100);
    host.cancel(12345);
    // SAFETY: the pointer that `init` returned; the id is unknown.
    unsafe { host.table.close.unwrap()(host.handle, 77) };
    // SAFETY: as above.
    unsafe { host.table.credit.unwrap()(host.handle, 77, u32::MAX) };
    // SAFETY: a NULL handle is ignored.
    unsafe { host.table.cancel.unwrap()(std::ptr::null_mut(), 1) };
    host.predict(77, 1, Some(&request(b"{}", AbiSlice::EMPTY)));
    has_code(&host.next(), 1, &ErrorCode::INTERNAL_ERROR);
}

#[test]
fn a_cancel_before_its_call_cancels_the_call() {
    let host = FakeHost::new().opened();
    host.cancel(7);
    host.predict(1, 7, Some(&request(br#"{"endpoint":"wait"}"#, AbiSlice::EMPTY)));
    has_code(&host.next(), 7, &ErrorCode::CANCELLED);
}

/// In an earlier version, a call did not end at its deadline. It continued until the host cancelled it.
#[test]
#[cfg(feature = "runtime")]
fn a_call_ends_at_its_deadline() {
    let host = FakeHost::new().opened();
    let wait = AbiRequest { timeout_ms: 1, ..request(br#"{"endpoint":"wait"}"#, AbiSlice::EMPTY) };
    host.predict(1, 7, Some(&wait));
    has_code(&host.next(), 7, &ErrorCode::DEADLINE_EXCEEDED);
    let endless = AbiRequest { timeout_ms: u64::MAX, ..request(br#"{"endpoint":"echo"}"#, AbiSlice::EMPTY) };
    host.predict(1, 8, Some(&endless));
    assert_eq!(host.next(), (8, 0, String::new()));
}

#[test]
fn a_cancelled_call_gets_one_reply_also_at_shutdown() {
    let host = FakeHost::new().opened();
    let wait = request(br#"{"endpoint":"wait"}"#, AbiSlice::EMPTY);
    host.predict(1, 1, Some(&wait));
    host.cancel(1);
    host.cancel(1);
    has_code(&host.next(), 1, &ErrorCode::CANCELLED);
    host.predict(1, 2, Some(&wait));
    // SAFETY: the pointer that `init` returned.
    unsafe { host.table.shutdown.unwrap()(host.handle, 3) };
    has_code(&host.next(), 2, &ErrorCode::CANCELLED);
    assert_eq!(host.next(), (3, 0, String::new()));
    host.predict(1, 4, Some(&wait));
    assert_eq!(host.next().0, 4);
    assert_eq!(host.replies.try_recv().ok(), None);
}

#[test]
fn init_of_a_host_without_reply_returns_null() {
    // SAFETY: the table of a plugin in this program.
    let init = unsafe { plugin().as_ptr().read() }.init.unwrap();
    let mut short = host_api(std::ptr::null_mut());
    short.size = 8;
    let without_reply = HostApi { reply: None, ..host_api(std::ptr::null_mut()) };
    for api in [null(), &raw const short, &raw const without_reply] {
        // SAFETY: NULL, or a struct that starts with its size and has that many bytes.
        assert!(unsafe { init(api.cast()) }.is_null());
    }
}

#[test]
fn a_longer_host_table_is_accepted() {
    #[repr(C)]
    struct Newer {
        api: HostApi,
        more: u64,
    }
    let (sender, replies) = channel::<(u64, u32, Vec<u8>)>();
    let sender: *mut Sender<_> = Box::leak(Box::new(sender));
    let mut newer = Newer { api: host_api(sender.cast()), more: u64::MAX };
    newer.api.size = size_of::<Newer>() as u32;
    // SAFETY: the table of a plugin in this program.
    let table = unsafe { plugin().as_ptr().read() };
    // SAFETY: the struct starts with its size.
    let handle = unsafe { table.init.unwrap()((&raw const newer).cast()) };
    // SAFETY: the pointer that `init` returned.
    unsafe { table.shutdown.unwrap()(handle, newer.more) };
    assert_eq!(replies.recv().unwrap().0, u64::MAX);
}

/// In an earlier version, the plugin held its lock while it replied. This caused a deadlock if the host closed a client
/// within its `reply` callback.
#[test]
fn a_host_may_close_and_cancel_within_reply() {
    struct Reentrant {
        table: PluginTable,
        handle: AtomicPtr<c_void>,
        replies: Sender<u64>,
    }
    unsafe extern "C" fn reply(ctx: *mut c_void, call: u64, _status: u32, _head: AbiSlice, _body: AbiSlice) {
        // SAFETY: `ctx` is leaked below.
        let host = unsafe { &*ctx.cast::<Reentrant>() };
        let handle = host.handle.load(Ordering::SeqCst);
        // SAFETY: the pointer that `init` returned.
        unsafe { host.table.cancel.unwrap()(handle, call) };
        // SAFETY: the pointer that `init` returned.
        unsafe { host.table.close.unwrap()(handle, 1) };
        host.replies.send(call).unwrap();
    }
    // SAFETY: the table of a plugin in this program.
    let table = unsafe { plugin().as_ptr().read() };
    let (sender, replies) = channel();
    let host: &'static Reentrant =
        Box::leak(Box::new(Reentrant { table, handle: AtomicPtr::default(), replies: sender }));
    let api = HostApi { reply: Some(reply), ..host_api(std::ptr::from_ref(host).cast_mut().cast()) };
    // SAFETY: the plugin copies the table.
    let handle = unsafe { table.init.unwrap()((&raw const api).cast()) };
    host.handle.store(handle, Ordering::SeqCst);
    let open = request(br#"{"target_uri":"probe"}"#, AbiSlice::EMPTY);
    // SAFETY: the pointer that `init` returned, and a valid request.
    unsafe { table.open.unwrap()(handle, 1, 7, &raw const open) };
    assert_eq!(replies.recv_timeout(Duration::from_secs(60)), Ok(7));
}
