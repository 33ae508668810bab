//! The macros with which a plugin's author exports a client.

use std::fmt;

use abi_stable::prefix_type::WithMetadata;

use super::abi::{PluginTable, PluginTableRef};

/// A plugin as its library exports it: the live table, and the manifest that stands for it in the file.
#[derive(Clone, Copy)]
pub struct Plugin {
    table: &'static WithMetadata<PluginTable>,
    manifest: &'static str,
}

impl Plugin {
    #[doc(hidden)]
    pub const fn new(table: &'static WithMetadata<PluginTable>, manifest: &'static str) -> Self {
        Self { table, manifest }
    }

    /// The manifest's JSON, as it is embedded in the library.
    pub const fn manifest(&self) -> &'static str {
        self.manifest
    }

    /// The table, as a library hands it out.
    pub fn as_ptr(&self) -> *const PluginTable {
        std::ptr::from_ref(&self.table.value.0)
    }

    /// Makes an instance of the plugin in this process, without a library.
    ///
    /// # Errors
    /// `PLUGIN_LOAD_FAILED` where its `init` fails.
    #[cfg(feature = "host")]
    pub fn start(
        &self,
        listener: impl Fn(u64, crate::call::Level, crate::call::Event) + Send + Sync + 'static,
    ) -> crate::Result<super::RemotePlugin> {
        // SAFETY: the table was made by `plugin!`, of functions of this very program.
        unsafe { super::RemotePlugin::start(self.table.value.0, listener) }
    }

    #[doc(hidden)]
    pub fn as_root_module(&self) -> PluginTableRef {
        PluginTableRef(self.table.static_as_prefix())
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.manifest)
    }
}

/// Makes the shared library that this crate builds a plugin.
///
/// Only the operations that are listed get a slot in the table, and a listed one that the client does not implement
/// stops the build. `target_help` and `run_local` can be listed too. `manifest` adds members to the embedded manifest,
/// such as `description`, `options`, `config`, `environment`, `accepts`, `invoke` and `isolation`.
///
/// ```
/// use mlflow_deploy_plugin_api::args::Predict;
/// use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Payload, Result, TargetUri, export_plugin};
///
/// struct Echo;
///
/// impl DeploymentClient for Echo {
///     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> {
///         Ok(Echo)
///     }
///
///     async fn predict(&self, request: Predict) -> Result<Payload> {
///         Ok(request.inputs)
///     }
/// }
///
/// export_plugin! {
///     client: Echo,
///     name: "echo",
///     schemes: ["echo"],
///     operations: [predict],
///     manifest: r#"{"description": "answers what it is asked"}"#,
/// }
/// # fn main() {}
/// ```
///
/// What is listed has to be there:
///
/// ```compile_fail
/// # use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Result, TargetUri, export_plugin};
/// # struct Echo;
/// # impl DeploymentClient for Echo {
/// #     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> { Ok(Echo) }
/// # }
/// export_plugin! { client: Echo, name: "echo", schemes: ["echo"], operations: [predict] }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    (
        client: $client:ty,
        name: $name:literal,
        schemes: [$($scheme:literal),+ $(,)?],
        operations: [$($operation:ident),* $(,)?]
        $(, manifest: $more:expr)? $(,)?
    ) => {
        /// The plugin that this library exports.
        pub(crate) static PLUGIN: $crate::ffi::Plugin = $crate::plugin! {
            client: $client,
            name: $name,
            schemes: [$($scheme),+],
            operations: [$($operation),*]
            $(, manifest: $more)?
        };

        const _: () = {
            use $crate::ffi::abi::{PluginTable, PluginTableRef};
            use $crate::ffi::export::abi_stable::library::{
                __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
            };

            /// The way in for every host.
            #[unsafe(no_mangle)]
            extern "C" fn mlflow_deploy_plugin_v1() -> *const PluginTable {
                $crate::ffi::export::loaded();
                PLUGIN.as_ptr()
            }

            /// The way in for a host that checks the table's layout first.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            // SAFETY: `root_module` gives a `PluginTableRef`, as is said here.
            static HEADER: LibHeader =
                unsafe { LibHeader::from_constructor::<PluginTableRef>(root_module, CheckTypeLayout::Yes) };

            extern "C" fn root_module() -> RootModuleResult {
                fn table() -> PluginTableRef {
                    $crate::ffi::export::loaded();
                    PLUGIN.as_root_module()
                }
                __call_root_module_loader(table)
            }

            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mlflow_deploy"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".mlflow_deploy"))]
            static MANIFEST: [u8; PLUGIN.manifest().len()] = $crate::manifest::embed::bytes(PLUGIN.manifest());
        };
    };
}

/// The value of a plugin, without what exports it from a library: for tests of the boundary in one process.
#[macro_export]
macro_rules! plugin {
    (
        client: $client:ty,
        name: $name:literal,
        schemes: [$($scheme:literal),+ $(,)?],
        operations: [$($operation:ident),* $(,)?]
        $(, manifest: $more:expr)? $(,)?
    ) => {{
        const PARTS: &[&str] = &[
            "{\"manifest\":1,\"abi\":1,\"name\":\"", $name,
            "\",\"version\":\"", env!("CARGO_PKG_VERSION"),
            "\",\"target\":\"", $crate::manifest::TARGET,
            "\",\"panic\":\"", if cfg!(panic = "unwind") { "unwind" } else { "abort" },
            "\",\"schemes\":[", $crate::manifest_list!($($scheme),+),
            "],\"operations\":[", $crate::manifest_list!($(stringify!($operation)),*), "]",
            $(",", $crate::manifest::embed::members($more),)?
            "}",
        ];
        const BYTES: [u8; $crate::manifest::embed::length(PARTS)] = $crate::manifest::embed::concat(PARTS);
        const TABLE: $crate::ffi::abi::PluginTable = {
            let mut table = $crate::ffi::export::table::<$client>();
            $(table.$operation = Some($crate::ffi::export::slots::$operation::<$client>);)*
            table
        };
        static WITH_METADATA: &$crate::ffi::export::abi_stable::prefix_type::WithMetadata<
            $crate::ffi::abi::PluginTable,
        > = &$crate::ffi::export::abi_stable::prefix_type::WithMetadata::new(TABLE);
        $crate::ffi::Plugin::new(WITH_METADATA, $crate::manifest::embed::text(&BYTES))
    }};
}

/// Strings as the elements of a JSON list.
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_list {
    () => { "" };
    ($first:expr $(, $rest:expr)*) => { concat!("\"", $first, "\"" $(, ",\"", $rest, "\"")*) };
}
