//! The clauses of the plugin contract, parsed from its text in the crate `mlflow-deploy-plugin-api`.

use mlflow_deploy_plugin_api::contract;

/// One clause of the plugin contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clause {
    /// The id of the clause, such as `load.quiet`. It does not change between versions.
    pub id: &'static str,
    /// The text of the clause.
    pub text: &'static str,
    /// The names of the conformance cases that check the clause.
    pub cases: Vec<&'static str>,
}

/// Returns all clauses of the plugin contract, in the order of its text.
pub fn clauses() -> impl Iterator<Item = Clause> {
    // - **load.quiet**: Loading prints nothing. (`load-quiet`)
    contract::TEXT.lines().filter_map(|line| {
        let (id, rest) = line.strip_prefix("- **")?.split_once("**: ")?;
        let (text, cases) = rest.rsplit_once(" (")?;
        let cases = cases.trim_end_matches(')').split(", ").map(|case| case.trim_matches('`')).collect();
        Some(Clause { id, text, cases })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::case::Case;

    #[test]
    fn clauses_and_cases_refer_to_each_other() {
        let stated: BTreeMap<_, _> = clauses().map(|clause| (clause.id, clause.cases)).collect();
        assert_eq!(stated.len(), clauses().count(), "a clause id occurs twice");
        assert_eq!(stated.len(), contract::TEXT.matches("\n- **").count(), "a clause does not parse");
        let mut checked = BTreeMap::<_, Vec<_>>::new();
        for case in Case::all() {
            checked.entry(case.clause).or_default().push(case.id);
        }
        assert_eq!(stated, checked);
    }

    #[test]
    fn case_names_are_unique_and_begin_with_their_family() {
        let ids: Vec<_> = Case::all().map(|case| case.id).collect();
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        const FAMILIES: [&str; 12] = [
            "load",
            "manifest",
            "abi",
            "operations",
            "payload",
            "errors",
            "stream",
            "cancel",
            "threads",
            "memory",
            "semantics",
            "fuzz",
        ];
        for case in Case::all() {
            assert!(FAMILIES.contains(&case.family()), "{}", case.id);
            assert_eq!(case.clause.split('.').next(), Some(case.family()), "{}", case.id);
            assert!(case.summary.ends_with('.') && case.summary.len() < 160, "{}: {}", case.id, case.summary);
        }
    }
}
