//! One seed for each mutant that kills it, so that a short run shows that all of them still die.

use super::{MUTANTS, Mutant};

/// The table as it is in the repository: an id, a seed, and what notices.
pub const RECORDED: &str = include_str!("recorded.txt");

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The mutant.
    pub mutant: Mutant,
    /// Its id.
    pub id: &'static str,
    /// The seed that kills it.
    pub seed: u64,
}

/// Reads the table.
///
/// # Errors
///
/// The line that is none.
pub fn recorded(table: &str) -> Result<Vec<Recorded>, String> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| read(line).ok_or_else(|| format!("not a mutant and a seed: {line}"))).collect()
}

fn read(line: &str) -> Option<Recorded> {
    let mut words = line.split_whitespace();
    let (id, seed) = (words.next()?, words.next()?.parse().ok()?);
    let (mutant, id, _) = MUTANTS.iter().find(|(_, known, _)| *known == id)?;
    Some(Recorded { mutant: *mutant, id, seed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_only_mutants_that_exist() {
        assert!(recorded(RECORDED).is_ok_and(|table| !table.is_empty()));
        assert!(recorded("M00 1 nothing").is_err() && recorded("M08 one").is_err());
    }

    #[test]
    fn every_mutant_has_an_id_of_its_own() {
        let mut ids: Vec<&str> = MUTANTS.iter().map(|(_, id, _)| *id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), MUTANTS.len());
    }
}
