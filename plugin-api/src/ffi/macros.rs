//! The macros that export a client as a plugin.

use std::fmt;

use super::abi::PluginTable;
use super::root_module::StaticTable;

/// A plugin as its library exports it: its table of functions, and its manifest.
///
/// [`plugin!`](crate::plugin) and [`export_plugin!`](crate::export_plugin) create a value of this type. `plugin!` has
/// an example.
#[derive(Clone, Copy)]
pub struct Plugin {
    table: &'static StaticTable,
    manifest: &'static str,
    module: &'static str,
}

impl Plugin {
    /// Returns a plugin with this table and manifest. `module` is the path of the module that defines the plugin. Only the
    /// macros of this crate call this function.
    ///
    /// # Safety
    /// Every function in the table must follow the contract of [`PluginTable`], because the safe method
    /// [`start`](Self::start) calls these functions.
    ///
    /// Safe code cannot call this function, because the table may break the contract:
    ///
    /// ```compile_fail,E0133
    /// use mlflow_deploy_plugin_api::ffi::Plugin;
    /// use mlflow_deploy_plugin_api::ffi::root_module::StaticTable;
    ///
    /// fn wrap(table: &'static StaticTable) -> Plugin {
    ///     Plugin::new(table, "{}", module_path!())
    /// }
    /// ```
    ///
    /// The same in an `unsafe` block compiles:
    ///
    /// ```
    /// # use mlflow_deploy_plugin_api::ffi::Plugin;
    /// # use mlflow_deploy_plugin_api::ffi::root_module::StaticTable;
    /// #
    /// unsafe fn wrap(table: &'static StaticTable) -> Plugin {
    ///     // SAFETY: the caller promises that the table follows the contract.
    ///     unsafe { Plugin::new(table, "{}", module_path!()) }
    /// }
    /// ```
    #[doc(hidden)]
    pub const unsafe fn new(table: &'static StaticTable, manifest: &'static str, module: &'static str) -> Self {
        Self { table, manifest, module }
    }

    /// Returns the path of the module that defines the plugin.
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// Returns the JSON of the manifest that is embedded in the library.
    pub const fn manifest(&self) -> &'static str {
        self.manifest
    }

    /// Returns a pointer to the plugin's table. The exported function of the library returns the same pointer.
    pub fn as_ptr(&self) -> *const PluginTable {
        std::ptr::from_ref(self.table.table())
    }

    /// Starts an instance of the plugin in this process, without loading a library.
    ///
    /// # Errors
    /// `PLUGIN_LOAD_FAILED` if the plugin's `init` fails.
    #[cfg(feature = "host")]
    pub fn start(
        &self,
        listener: impl Fn(u64, crate::event::Level, crate::event::Event) + Send + Sync + 'static,
    ) -> crate::Result<super::RemotePlugin> {
        // SAFETY: the caller of `new` promises that the table follows the contract; its functions are part of this
        // program.
        unsafe { super::RemotePlugin::start(*self.table.table(), listener) }
    }

    #[doc(hidden)]
    pub fn table(&self) -> &'static StaticTable {
        self.table
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.manifest)
    }
}

/// Exports a client as the plugin of this crate's shared library.
///
/// `operations` lists the operations that the plugin supports, which are those that the client implements. The list may
/// also contain `target_help` and `run_local`. `manifest` adds members to the embedded manifest, such as `description`,
/// `options`, `config`, `environment`, `accepts`, `invoke` and `isolation`. `MANIFEST.md` describes them.
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
///     manifest: r#"{"description": "returns its inputs"}"#,
/// }
/// # fn main() {}
/// ```
///
/// `cargo check` and `cargo build` fail for a listed operation without an implementation, for an implemented operation
/// that is not listed, and for a wrong name, scheme or manifest. `target_help` is an exception, because it is not a future,
/// whose type tells an implementation from the default: only `cargo build` finds that a listed one is missing, and
/// nothing finds an implementation that is not listed.
///
/// A listed operation without an implementation does not compile:
///
/// ```compile_fail,E0080
/// # use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Result, TargetUri, export_plugin};
/// # struct Echo;
/// # impl DeploymentClient for Echo {
/// #     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> { Ok(Echo) }
/// # }
/// export_plugin! { client: Echo, name: "echo", schemes: ["echo"], operations: [predict] }
/// # fn main() {}
/// ```
///
/// Neither does an implemented operation that is not listed:
///
/// ```compile_fail,E0080
/// # use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Payload, Result, TargetUri, args, export_plugin};
/// # struct Echo;
/// # impl DeploymentClient for Echo {
/// #     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> { Ok(Echo) }
/// #     async fn predict(&self, request: args::Predict) -> Result<Payload> { Ok(request.inputs) }
/// # }
/// export_plugin! { client: Echo, name: "echo", schemes: ["echo"], operations: [] }
/// # fn main() {}
/// ```
///
/// Nor a scheme in upper case:
///
/// ```compile_fail,E0080
/// # use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Payload, Result, TargetUri, args, export_plugin};
/// # struct Echo;
/// # impl DeploymentClient for Echo {
/// #     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> { Ok(Echo) }
/// #     async fn predict(&self, request: args::Predict) -> Result<Payload> { Ok(request.inputs) }
/// # }
/// export_plugin! { client: Echo, name: "echo", schemes: ["Echo"], operations: [predict] }
/// # fn main() {}
/// ```
///
/// Nor a manifest with an unknown member:
///
/// ```compile_fail,E0080
/// # use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Payload, Result, TargetUri, args, export_plugin};
/// # struct Echo;
/// # impl DeploymentClient for Echo {
/// #     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> { Ok(Echo) }
/// #     async fn predict(&self, request: args::Predict) -> Result<Payload> { Ok(request.inputs) }
/// # }
/// export_plugin! {
///     client: Echo,
///     name: "echo",
///     schemes: ["echo"],
///     operations: [predict],
///     manifest: r#"{"isolaton": "required"}"#,
/// }
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

        const _: () = $crate::ffi::listed::check_listed::<$client>(&[$(stringify!($operation)),*]);

        const _: () = {
            use $crate::ffi::abi::PluginTable;
            use $crate::ffi::root_module::{Exported, LibraryHeader, StaticTable};

            /// Returns the plugin's table. Every host looks up this function by its name and calls it.
            #[unsafe(no_mangle)]
            extern "C" fn mlflow_deploy_plugin_v1() -> *const PluginTable {
                $crate::ffi::export::loaded(::std::module_path!());
                PLUGIN.as_ptr()
            }

            struct ThisLibrary;

            impl Exported for ThisLibrary {
                const MODULE: &'static str = ::std::module_path!();

                fn table() -> &'static StaticTable {
                    PLUGIN.table()
                }
            }

            /// The library header of the crate abi_stable. A host reads the layout of the plugin's table from it,
            /// before it calls a function of the table.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: LibraryHeader = LibraryHeader::of::<ThisLibrary>();

            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mlflow_deploy"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".mlflow_deploy"))]
            static MANIFEST: [u8; PLUGIN.manifest().len()] = $crate::manifest::embed::bytes(PLUGIN.manifest());
        };
    };
}

/// Returns a [`Plugin`] that is not exported from a library. Tests use it to run a plugin in their own process.
///
/// Takes the same arguments as [`export_plugin!`](crate::export_plugin).
///
/// ```
/// use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Result, TargetUri, plugin};
///
/// struct Empty;
///
/// impl DeploymentClient for Empty {
///     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> {
///         Ok(Empty)
///     }
/// }
///
/// let plugin = plugin! { client: Empty, name: "empty", schemes: ["empty"], operations: [] };
/// assert!(plugin.manifest().contains(r#""name":"empty""#));
/// ```
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
        const _: () = {
            $crate::manifest::embed::check_name("plugin name", $name);
            $($crate::manifest::embed::check_name("scheme", $scheme);)+
            $crate::ffi::listed::check_implemented::<$client>(&[$(stringify!($operation)),*]);
        };
        const BYTES: [u8; $crate::manifest::embed::length(PARTS)] = $crate::manifest::embed::concat(PARTS);
        const TABLE: $crate::ffi::abi::PluginTable = {
            let mut table = $crate::ffi::export::table::<$client>();
            $(table.$operation = Some($crate::ffi::export::slots::$operation::<$client>);)*
            table
        };
        static STATIC_TABLE: $crate::ffi::root_module::StaticTable = $crate::ffi::root_module::StaticTable::new(TABLE);
        // SAFETY: the table has only functions of `$crate::ffi::export`, each in its own slot; they follow the
        // contract.
        unsafe { $crate::ffi::Plugin::new(&STATIC_TABLE, $crate::manifest::embed::text(&BYTES), ::std::module_path!()) }
    }};
}

/// Joins strings as the elements of a JSON list, at compile time.
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_list {
    () => { "" };
    ($first:expr $(, $rest:expr)*) => { concat!("\"", $first, "\"" $(, ",\"", $rest, "\"")*) };
}
