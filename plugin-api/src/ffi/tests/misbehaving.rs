//! Tests of the host with a plugin that breaks the contract. The caller gets an error, or the host gets an event.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::ptr::null;

use super::probe;
use crate::args::{Predict, PredictStream};
use crate::event::Level;
use crate::ffi::abi::{ABI, AbiRequest, AbiSlice, HostApi, PluginTable};
use crate::ffi::{RemoteClient, RemotePlugin, TableError, table_of};
use crate::testing::Events;
use crate::{ClientOptions, ErrorCode, TargetUri};

/// The code that `predict` and `predict_stream` of the test plugin run. Each test sets its own code for its thread,
/// because the plugin's functions run on the thread of the test.
type Script = fn(&HostApi, u64);

thread_local! {
    static SCRIPT: Cell<Script> = const { Cell::new(|_, _| {}) };
}

const NULL_BUT_NOT_EMPTY: AbiSlice = AbiSlice { ptr: null(), len: 3 };

fn reply(api: &HostApi, call: u64, status: u32, head: &[u8], body: AbiSlice) {
    // SAFETY: the host's function with its `ctx`.
    unsafe { api.reply.unwrap()(api.ctx, call, status, AbiSlice::lend(head), body) };
}

fn chunk(api: &HostApi, call: u64) {
    // SAFETY: the host's function with its `ctx`.
    unsafe { api.chunk.unwrap()(api.ctx, call, AbiSlice::EMPTY, AbiSlice::lend(b"1")) };
}

/// Creates an instance, which is a copy of the host's table.
unsafe extern "C" fn init(host: *const c_void) -> *mut c_void {
    // SAFETY: the host's table, of the same version.
    let api = unsafe { host.cast::<HostApi>().read() };
    std::ptr::from_mut(Box::leak(Box::new(api))).cast()
}

unsafe extern "C" fn open(plugin: *mut c_void, _client: u64, call: u64, _request: *const AbiRequest) {
    // SAFETY: the pointer that `init` leaked.
    reply(unsafe { &*plugin.cast::<HostApi>() }, call, 0, b"", AbiSlice::EMPTY);
}

unsafe extern "C" fn scripted(plugin: *mut c_void, _client: u64, call: u64, _request: *const AbiRequest) {
    // SAFETY: the pointer that `init` leaked.
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
    // SAFETY: the functions above follow the contract's rules about memory.
    let plugin = unsafe { RemotePlugin::start(table(), events.listener()) }.unwrap();
    let client = plugin.open(&TargetUri::parse("raw").unwrap(), &ClientOptions::default(), None).await.unwrap();
    (client, events)
}

fn errors(events: &Events) -> Vec<String> {
    events.all().into_iter().filter(|(_, level, _)| *level == Level::Error).map(|(_, _, event)| event.message).collect()
}

#[tokio::test]
async fn an_invalid_reply_becomes_a_protocol_violation() {
    let scripts: [(Script, &str); 6] = [
        (|api, call| reply(api, call, 1, b"", AbiSlice::lend(b"oops")), "an invalid error"),
        (|api, call| reply(api, call, 1, b"", AbiSlice::EMPTY), "an invalid error"),
        (|api, call| reply(api, call, 9, b"", AbiSlice::EMPTY), "the unknown status 9"),
        (|api, call| reply(api, call, 0, b"{", AbiSlice::EMPTY), "an invalid head"),
        (|api, call| reply(api, call, 0, b"", NULL_BUT_NOT_EMPTY), "a slice that is NULL but not empty"),
        (|api, call| chunk(api, call), "a call that is not a stream"),
    ];
    for (script, violation) in scripts {
        let (client, _) = client(script).await;
        let error = client.call(Predict::default(), None).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::PLUGIN_PROTOCOL_VIOLATION);
        assert!(error.message().contains(violation), "{error}");
    }
}

#[tokio::test]
async fn a_second_reply_and_a_chunk_after_it_become_error_events() {
    let (client, events) = client(|api, call| {
        reply(api, call, 0, b"", AbiSlice::lend(b"1"));
        reply(api, call, 0, b"", AbiSlice::lend(b"2"));
        chunk(api, call);
    })
    .await;
    assert_eq!(client.call(Predict::default(), None).await.unwrap().bytes, b"1");
    let errors = errors(&events);
    assert!(errors[0].contains("replied to a call that does not exist"), "{errors:?}");
    assert!(errors[1].contains("sent a chunk for a call that has ended"), "{errors:?}");
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
    assert_eq!(errors(&events), Vec::<String>::new());
}

#[tokio::test]
async fn a_call_without_a_reply_ends_when_it_is_dropped_or_its_client_is_closed() {
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
async fn an_invalid_event_becomes_an_error_event() {
    let (client, events) = client(|api, call| {
        // SAFETY: the host's function with its `ctx`.
        unsafe { api.event.unwrap()(api.ctx, call, 1, AbiSlice::lend(b"nonsense")) };
        reply(api, call, 0, b"", AbiSlice::EMPTY);
    })
    .await;
    client.call(Predict::default(), None).await.unwrap();
    assert!(errors(&events)[0].contains("sent an event that is not valid JSON"));
}

#[tokio::test]
async fn a_failed_init_is_an_error() {
    unsafe extern "C" fn fail(_host: *const c_void) -> *mut c_void {
        std::ptr::null_mut()
    }
    // SAFETY: only `init` is called.
    let started = unsafe { RemotePlugin::start(PluginTable { init: Some(fail), ..table() }, |_, _, _| {}) };
    assert_eq!(started.unwrap_err().code(), &ErrorCode::PLUGIN_LOAD_FAILED);
}

/// Returns the table of a library whose only symbol is `entry`, the function that returns the table.
fn table_from(entry: extern "C" fn() -> *const PluginTable) -> Result<PluginTable, TableError> {
    let symbol = |name: &CStr| (name == crate::ffi::abi::ENTRY_SYMBOL).then_some(entry as *const c_void);
    // SAFETY: the symbol is a function of this program, and has the type that belongs to its name.
    unsafe { table_of(symbol) }
}

/// Moves a table to memory that is never freed, and returns the address of the table.
fn leak(table: PluginTable) -> *const PluginTable {
    Box::leak(Box::new(table))
}

#[test]
fn an_invalid_table_is_rejected() {
    // SAFETY: the lookup finds no symbol.
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
    assert_eq!(error.to_string(), "the plugin uses ABI 2, this host ABI 1: upgrade the host");
    extern "C" fn ancient() -> *const PluginTable {
        leak(PluginTable { abi: 0, ..table() })
    }
    let error = table_from(ancient).unwrap_err();
    assert_eq!(error.to_string(), "the plugin uses ABI 0, this host ABI 1: upgrade the plugin");
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
fn shorter_and_longer_tables_load() {
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
