//! The host's side against a plugin that breaks the contract: the caller gets an error, or the log a fault.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::ptr::null;

use super::probe;
use crate::args::{Predict, PredictStream};
use crate::call::Level;
use crate::ffi::abi::{ABI, AbiRequest, AbiSlice, HostApi, PluginTable};
use crate::ffi::{RemoteClient, RemotePlugin, TableError, table_of};
use crate::testing::Events;
use crate::{ClientOptions, ErrorCode, TargetUri};

/// What `predict` and `predict_stream` do; slots run on the thread of the test that calls them.
type Script = fn(&HostApi, u64);

thread_local! {
    static SCRIPT: Cell<Script> = const { Cell::new(|_, _| {}) };
}

const NULL_BUT_NOT_EMPTY: AbiSlice = AbiSlice { ptr: null(), len: 3 };

fn reply(api: &HostApi, call: u64, status: u32, head: &[u8], body: AbiSlice) {
    // SAFETY: the host's own function and `ctx`.
    unsafe { api.reply.unwrap()(api.ctx, call, status, AbiSlice::lend(head), body) };
}

fn chunk(api: &HostApi, call: u64) {
    // SAFETY: the host's own function and `ctx`.
    unsafe { api.chunk.unwrap()(api.ctx, call, AbiSlice::EMPTY, AbiSlice::lend(b"1")) };
}

/// The instance is a copy of the host's table.
unsafe extern "C" fn init(host: *const c_void) -> *mut c_void {
    // SAFETY: the host's table, of this very version.
    let api = unsafe { host.cast::<HostApi>().read() };
    std::ptr::from_mut(Box::leak(Box::new(api))).cast()
}

unsafe extern "C" fn open(plugin: *mut c_void, _client: u64, call: u64, _request: *const AbiRequest) {
    // SAFETY: what `init` leaked.
    reply(unsafe { &*plugin.cast::<HostApi>() }, call, 0, b"", AbiSlice::EMPTY);
}

unsafe extern "C" fn scripted(plugin: *mut c_void, _client: u64, call: u64, _request: *const AbiRequest) {
    // SAFETY: what `init` leaked.
    SCRIPT.get()(unsafe { &*plugin.cast::<HostApi>() }, call);
}

unsafe extern "C" fn close(_plugin: *mut c_void, _client: u64) {}
unsafe extern "C" fn cancel(_plugin: *mut c_void, _call: u64) {}
unsafe extern "C" fn credit(_plugin: *mut c_void, _call: u64, _chunks: u32) {}

fn table() -> PluginTable {
    // SAFETY: the table of a plugin in this program.
    let template = unsafe { probe::small_plugin().as_ptr().read() };
    PluginTable {
        init: Some(init),
        shutdown: None,
        open: Some(open),
        close: Some(close),
        cancel: Some(cancel),
        credit: Some(credit),
        predict: Some(scripted),
        predict_stream: Some(scripted),
        ..template
    }
}

async fn client(script: Script) -> (RemoteClient, Events) {
    SCRIPT.set(script);
    let events = Events::default();
    // SAFETY: the functions above honour the contract as far as memory goes.
    let plugin = unsafe { RemotePlugin::start(table(), events.listener()) }.unwrap();
    let client = plugin.open(&TargetUri::parse("raw").unwrap(), &ClientOptions::default(), None).await.unwrap();
    (client, events)
}

fn faults(events: &Events) -> Vec<String> {
    events.all().into_iter().filter(|(_, level, _)| *level == Level::Error).map(|(_, _, event)| event.message).collect()
}

#[tokio::test]
async fn replies_that_cannot_be_read() {
    let scripts: [(Script, &str); 6] = [
        (|api, call| reply(api, call, 1, b"", AbiSlice::lend(b"oops")), "an error that cannot be read"),
        (|api, call| reply(api, call, 1, b"", AbiSlice::EMPTY), "an error that cannot be read"),
        (|api, call| reply(api, call, 9, b"", AbiSlice::EMPTY), "status 9"),
        (|api, call| reply(api, call, 0, b"{", AbiSlice::EMPTY), "a head that cannot be read"),
        (|api, call| reply(api, call, 0, b"", NULL_BUT_NOT_EMPTY), "a slice that is NULL but not empty"),
        (|api, call| chunk(api, call), "a call that is no stream"),
    ];
    for (script, what) in scripts {
        let (client, _) = client(script).await;
        let error = client.call(Predict::default(), None).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::PLUGIN_PROTOCOL_VIOLATION);
        assert!(error.message().contains(what), "{error}");
    }
}

#[tokio::test]
async fn a_second_reply_and_a_chunk_after_it_are_faults_in_the_log() {
    let (client, events) = client(|api, call| {
        reply(api, call, 0, b"", AbiSlice::lend(b"1"));
        reply(api, call, 0, b"", AbiSlice::lend(b"2"));
        chunk(api, call);
    })
    .await;
    assert_eq!(client.call(Predict::default(), None).await.unwrap().bytes, b"1");
    let faults = faults(&events);
    assert!(faults[0].contains("replied to a call that it was not asked for"), "{faults:?}");
    assert!(faults[1].contains("sent a chunk for a call that has ended"), "{faults:?}");
}

#[tokio::test]
async fn a_chunk_without_credit_ends_the_stream_with_an_error() {
    let (client, events) = client(|api, call| (0..20).for_each(|_| chunk(api, call))).await;
    let mut chunks = client.predict_stream(&PredictStream::default(), None).unwrap();
    for _ in 0..16 {
        chunks.next().await.unwrap().unwrap();
    }
    let error = chunks.next().await.unwrap().unwrap_err();
    assert_eq!(error.message(), "the plugin broke the contract: it sent a chunk without credit");
    assert!(chunks.next().await.is_none());
    assert_eq!(faults(&events), Vec::<String>::new());
}

#[tokio::test]
async fn a_call_without_a_reply_ends_when_its_caller_gives_up_or_the_client_is_closed() {
    let (client, _) = client(|_, _| {}).await;
    probe::start_and_drop(client.call(Predict::default(), None)).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call(Predict::default(), None).await }
    });
    tokio::task::yield_now().await;
    client.close();
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), &ErrorCode::CANCELLED);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_a_fault() {
    let (client, events) = client(|api, call| {
        // SAFETY: the host's own function and `ctx`.
        unsafe { api.event.unwrap()(api.ctx, call, 1, AbiSlice::lend(b"nonsense")) };
        reply(api, call, 0, b"", AbiSlice::EMPTY);
    })
    .await;
    client.call(Predict::default(), None).await.unwrap();
    assert!(faults(&events)[0].contains("sent an event that cannot be read"));
}

#[tokio::test]
async fn an_init_that_fails_is_an_error() {
    unsafe extern "C" fn fail(_host: *const c_void) -> *mut c_void {
        std::ptr::null_mut()
    }
    // SAFETY: nothing but `init` is called.
    let started = unsafe { RemotePlugin::start(PluginTable { init: Some(fail), ..table() }, |_, _, _| {}) };
    assert_eq!(started.unwrap_err().code(), &ErrorCode::PLUGIN_LOAD_FAILED);
}

/// Looks the table up as in a library that exports nothing but the way in for every host.
fn table_from(entry: extern "C" fn() -> *const PluginTable) -> Result<PluginTable, TableError> {
    let symbol = |name: &CStr| (name == crate::ffi::abi::ENTRY_SYMBOL).then_some(entry as *const c_void);
    // SAFETY: the symbol is a function of this program, of the type that it should have.
    unsafe { table_of(symbol) }
}

/// Hands out a table that lives for ever.
fn leak(table: PluginTable) -> *const PluginTable {
    Box::leak(Box::new(table))
}

#[test]
fn tables_are_checked_before_they_are_used() {
    // SAFETY: no symbol at all.
    assert_eq!(unsafe { table_of(|_| None) }.unwrap_err(), TableError::NoEntry);
    assert_eq!(
        table_from({
            extern "C" fn entry() -> *const PluginTable {
                null()
            }
            entry
        })
        .unwrap_err(),
        TableError::NoTable
    );
    extern "C" fn tiny() -> *const PluginTable {
        leak(PluginTable { size: 4, ..table() })
    }
    assert_eq!(table_from(tiny).unwrap_err(), TableError::NoTable);
    extern "C" fn future() -> *const PluginTable {
        leak(PluginTable { abi: 2, ..table() })
    }
    let error = table_from(future).unwrap_err();
    assert_eq!(error.to_string(), "it speaks ABI 2 and this host ABI 1: upgrade the host");
    extern "C" fn ancient() -> *const PluginTable {
        leak(PluginTable { abi: 0, ..table() })
    }
    let error = table_from(ancient).unwrap_err();
    assert_eq!(error.to_string(), "it speaks ABI 0 and this host ABI 1: upgrade the plugin");
    extern "C" fn cannot_open() -> *const PluginTable {
        leak(PluginTable { open: None, ..table() })
    }
    assert_eq!(table_from(cannot_open).unwrap_err(), TableError::MissingFunction("open".into()));
    extern "C" fn cannot_credit() -> *const PluginTable {
        leak(PluginTable { credit: None, ..table() })
    }
    assert_eq!(table_from(cannot_credit).unwrap_err(), TableError::MissingFunction("credit".into()));
}

#[test]
fn older_and_newer_tables_are_read_as_far_as_both_sides_know() {
    extern "C" fn older() -> *const PluginTable {
        let size = std::mem::offset_of!(PluginTable, predict_stream) as u32;
        leak(PluginTable { size, ..table() })
    }
    let table = table_from(older).unwrap();
    assert!(table.predict.is_some());
    assert!(table.predict_stream.is_none() && table.invoke.is_none());

    #[repr(C)]
    struct Newer {
        table: PluginTable,
        more: [usize; 4],
    }
    extern "C" fn newer() -> *const PluginTable {
        let mut newer = Newer { table: self::table(), more: [1; 4] };
        newer.table.size = size_of::<Newer>() as u32;
        assert_eq!(newer.more, [1; 4]);
        std::ptr::from_ref(Box::leak(Box::new(newer))).cast()
    }
    assert!(table_from(newer).unwrap().predict_stream.is_some());
    assert_eq!(ABI, 1);
}
