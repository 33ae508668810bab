//! The clauses of the contract, as plugin-api states them.

use mlflow_deploy_plugin_api::contract;

/// One clause of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clause {
    /// Its stable name, such as `load.quiet`.
    pub id: &'static str,
    /// What it says.
    pub says: &'static str,
    /// The cases that check it, by their names.
    pub cases: Vec<&'static str>,
}

/// Every clause, in the order in which the contract states them.
pub fn clauses() -> impl Iterator<Item = Clause> {
    // - **load.quiet**: Loading prints nothing. (`load-quiet`)
    contract::TEXT.lines().filter_map(|line| {
        let (id, rest) = line.strip_prefix("- **")?.split_once("**: ")?;
        let (says, cases) = rest.rsplit_once(" (")?;
        let cases = cases.trim_end_matches(')').split(", ").map(|case| case.trim_matches('`')).collect();
        Some(Clause { id, says, cases })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::case::Case;

    #[test]
    fn every_clause_has_its_cases_and_every_case_its_clause() {
        let stated: BTreeMap<_, _> = clauses().map(|clause| (clause.id, clause.cases)).collect();
        assert_eq!(stated.len(), clauses().count(), "no clause is stated twice");
        assert_eq!(stated.len(), contract::TEXT.matches("\n- **").count(), "every clause is read");
        let mut checked = BTreeMap::<_, Vec<_>>::new();
        for case in Case::all() {
            checked.entry(case.clause).or_default().push(case.id);
        }
        assert_eq!(stated, checked);
    }

    #[test]
    fn names_are_stable_words_and_used_once() {
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
            assert!(case.says.ends_with('.') && case.says.len() < 160, "{}: {}", case.id, case.says);
        }
    }
}
