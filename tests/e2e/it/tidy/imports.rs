//! Finds import cycles among the files of a crate. One file imports another if it uses an item that the other file
//! defines.
//!
//! The search reads `use` declarations and paths (`crate::`, `self::`, `super::`, names of modules), and follows
//! re-exports to the file that defines the item. It ignores test code. It does not expand macros, but reads the paths
//! in their arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The segments of a Rust path, such as `crate` and `name` of `crate::name`.
type Segments = Vec<String>;

/// A Rust module: a file, or a block `mod name { … }` in a file.
#[derive(Default)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// The names of the items that the module defines.
    items: BTreeSet<String>,
    /// The names that `use` declarations import into the module, each with its path.
    imports: BTreeMap<String, Segments>,
    globs: Vec<Segments>,
    /// All other paths in the module that may refer to an item of another file.
    paths: Vec<Segments>,
}

/// The modules of a crate. The first is the root module.
#[derive(Default)]
pub(super) struct Crate(Vec<Module>);

impl Crate {
    /// Reads all modules of the crate whose root file is `root`.
    pub(super) fn read(root: &Path) -> Self {
        let mut read = Self::default();
        read.add_file(root, root.parent().unwrap(), None);
        read
    }

    /// Returns the groups of files that import each other in a cycle. The paths of the files are relative to `base`.
    pub(super) fn circles(&self, base: &Path) -> Vec<Vec<String>> {
        let edges = self.edges();
        let reached: BTreeMap<_, _> = edges.keys().map(|file| (file, reachable(&edges, file))).collect();
        let mut circles = BTreeSet::new();
        for (file, found) in &reached {
            if found.contains(*file) {
                let circle = found.iter().filter(|other| reached.get(**other).is_some_and(|back| back.contains(*file)));
                let name = |file: &&PathBuf| file.strip_prefix(base).unwrap_or(file).display().to_string();
                circles.insert(circle.map(name).collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }

    /// Maps each file to the files whose items it imports.
    fn edges(&self) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
        let mut edges = BTreeMap::<PathBuf, BTreeSet<PathBuf>>::new();
        for (at, module) in self.0.iter().enumerate() {
            let paths = module.paths.iter().chain(module.imports.values()).chain(&module.globs);
            for target in paths.filter_map(|path| self.resolve(at, path, 0)).filter(|file| **file != module.file) {
                edges.entry(module.file.clone()).or_default().insert(target.clone());
            }
        }
        edges
    }

    /// Returns the file that defines the item to which a path refers. Returns `None` if the path refers to a module or
    /// to an item of another crate. `from` is the index of the module that contains the path.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<&PathBuf> {
        if depth > 16 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.0[from].parent?,
            _ => {
                rest = path;
                from
            }
        };
        while let Some((name, after)) = rest.split_first() {
            let module = &self.0[at];
            if name == "super" {
                at = module.parent?;
            } else if let Some(child) = module.children.get(name) {
                at = *child;
            } else if module.items.contains(name) {
                return Some(&module.file);
            } else if let Some(import) = module.imports.get(name) {
                // An import whose path begins with the imported name itself is from another crate.
                let onward: Segments = import.iter().chain(after).cloned().collect();
                return if onward == path { None } else { self.resolve(at, &onward, depth + 1) };
            } else {
                let onward = |glob: &Segments| glob.iter().chain(rest).cloned().collect::<Segments>();
                return module.globs.iter().find_map(|glob| self.resolve(at, &onward(glob), depth + 1));
            }
            rest = after;
        }
        None
    }

    fn add_file(&mut self, file: &Path, folder: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.add(file, folder, parent, &parsed.items)
    }

    /// Adds a module and its child modules to the crate. The files of the child modules are in `folder`. Returns the
    /// index of the module.
    fn add(&mut self, file: &Path, folder: &Path, parent: Option<usize>, items: &[syn::Item]) -> usize {
        let at = self.0.len();
        self.0.push(Module { file: file.to_owned(), parent, ..Module::default() });
        for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
            match item {
                syn::Item::Mod(module) => self.add_child(at, file, folder, module),
                syn::Item::Use(import) => add_use(&mut self.0[at], &import.tree, &mut Vec::new()),
                other => {
                    self.0[at].items.extend(name(other));
                    Paths(&mut self.0[at].paths).visit_item(other);
                }
            }
        }
        at
    }

    fn add_child(&mut self, parent: usize, file: &Path, folder: &Path, module: &syn::ItemMod) {
        let name = module.ident.to_string();
        let below = folder.join(&name);
        let child = match (&module.content, path_attribute(&module.attrs)) {
            (Some((_, items)), _) => self.add(file, &below, Some(parent), items),
            (None, Some(path)) => {
                let path = file.parent().unwrap().join(path);
                let folder = path.parent().unwrap().to_owned();
                self.add_file(&path, &folder, Some(parent))
            }
            (None, None) if below.join("mod.rs").exists() => self.add_file(&below.join("mod.rs"), &below, Some(parent)),
            (None, None) => self.add_file(&below.with_extension("rs"), &below, Some(parent)),
        };
        self.0[parent].children.insert(name, child);
    }
}

/// Returns all files from which the file `from` imports, directly or through other files.
fn reachable<'a>(edges: &'a BTreeMap<PathBuf, BTreeSet<PathBuf>>, from: &'a PathBuf) -> BTreeSet<&'a PathBuf> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        next.extend(edges.get(file).into_iter().flatten().filter(|to| found.insert(*to)));
    }
    found
}

/// A visitor of Rust syntax that collects every path with more than one segment.
struct Paths<'a>(&'a mut Vec<Segments>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        let mut module = Module::default();
        add_use(&mut module, &import.tree, &mut Vec::new());
        self.0.extend(module.imports.into_values());
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        // The text of tokens has spaces between them.
        let text = called.tokens.to_string().replace(" :: ", "::");
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        for word in words.filter(|word| word.contains("::")) {
            self.0.push(word.split("::").map(str::to_owned).collect());
        }
        visit::visit_macro(self, called);
    }

    fn visit_item_mod(&mut self, _tests: &'ast syn::ItemMod) {}
}

fn add_use(module: &mut Module, tree: &syn::UseTree, before: &mut Segments) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            add_use(module, &path.tree, before);
            before.pop();
        }
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| add_use(module, tree, before)),
        syn::UseTree::Glob(_) => module.globs.push(before.clone()),
        syn::UseTree::Name(name) if name.ident == "self" => {
            module.imports.insert(before.last().unwrap().clone(), before.clone());
        }
        syn::UseTree::Name(name) => {
            let path = before.iter().cloned().chain([name.ident.to_string()]).collect();
            module.imports.insert(name.ident.to_string(), path);
        }
        syn::UseTree::Rename(renamed) => {
            let path = before.iter().cloned().chain([renamed.ident.to_string()]).collect();
            // `as _` may occur more than once in a module.
            let unnamed = format!("_ {}", module.imports.len());
            let name = if renamed.rename == "_" { unnamed } else { renamed.rename.to_string() };
            module.imports.insert(name, path);
        }
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |list: &syn::MetaList| list.tokens.to_string() == "test";
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(is_test))
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

fn name(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[test]
fn a_circle_through_a_re_export_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    write("lib.rs", "mod a;\nmod deep;\nmod leaf;\npub use a::A;\n");
    write("a.rs", "use crate::deep::make;\npub struct A;\nfn f() { make() }\n");
    write("deep/mod.rs", "mod b;\npub use b::make;\n");
    write("deep/b.rs", "use crate::leaf::Leaf;\npub fn make() { let _ = format!(\"{:?}\", super::super::A); }\n");
    write("leaf.rs", "pub struct Leaf;\n#[cfg(test)]\nmod tests {\n use crate::A;\n}\n");
    let circles = Crate::read(&folder.path().join("lib.rs")).circles(folder.path());
    assert_eq!(circles, [["a.rs", "deep/b.rs"]]);
    write("deep/b.rs", "use crate::leaf::Leaf;\npub fn make() {}\n");
    assert!(Crate::read(&folder.path().join("lib.rs")).circles(folder.path()).is_empty());
}
