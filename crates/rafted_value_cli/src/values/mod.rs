//! The values that come with the program, and how they are spoken to from a shell.

pub(crate) mod counter;
pub(crate) mod kv;
pub(crate) mod queue;

use rafted_value::Value;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Lines, first in, first out.
    Queue,
    /// A whole number.
    Counter,
    /// Strings under keys, which may expire.
    Kv,
}

impl Kind {
    /// The value of this [`Value::NAME`].
    pub(crate) fn named(name: &str) -> Option<Kind> {
        <Kind as clap::ValueEnum>::from_str(name, false).ok()
    }
}

/// A value that the program can host and be asked about in words.
pub(crate) trait BuiltIn: Value {
    /// Its commands as they are written on the shell, one per line.
    const COMMANDS: &'static [&'static str];
    /// Its queries.
    const QUERIES: &'static [&'static str];

    /// What these words mean; else what is wrong with them.
    fn parse_command(words: &[&str]) -> Result<Self::Command, String>;
    /// What these words mean; else what is wrong with them.
    fn parse_query(words: &[&str]) -> Result<Self::Query, String>;

    /// A reply, for people and for programs.
    fn say_reply(reply: &Self::Reply) -> Said;
    /// An answer, for people and for programs.
    fn say_answer(answer: &Self::Answer) -> Said;

    /// What the process of the leader has to say to the value from time to time, though nobody asked for anything.
    fn chore(&self) -> Option<Self::Command> {
        None
    }
}

/// The same thing twice: for people and for programs.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) json: serde_json::Value,
}

impl Said {
    pub(crate) fn new(text: impl Into<String>, json: impl Into<serde_json::Value>) -> Said {
        Said { text: text.into(), json: json.into() }
    }

    /// Something that may be missing.
    pub(crate) fn maybe(value: Option<&str>, missing: &str) -> Said {
        Said::new(value.unwrap_or(missing), value)
    }
}

/// What every value says to words that it does not know.
fn unknown<T>(words: &[&str]) -> Result<T, String> {
    Err(match words {
        [] => "nothing was said".to_owned(),
        [word, ..] => format!("{word:?} is unknown, or stands with too many or too few words"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    /// Each form of a grammar with something in the place of what stands in capitals.
    fn examples(forms: &[&str]) -> Vec<Vec<String>> {
        let word = |word: &str| match word.trim_matches(['[', ']']) {
            "NUMBER" => "7".to_owned(),
            "TIME" => "10s".to_owned(),
            other => other.to_lowercase(),
        };
        let whole = |form: &&str| form.split(' ').map(word).collect::<Vec<_>>();
        let short = |form: &&str| form.split(" [").next().unwrap_or_default().split(' ').map(word).collect();
        forms.iter().map(whole).chain(forms.iter().map(short)).collect()
    }

    fn grammar_is_true<V: BuiltIn>() {
        for example in examples(V::COMMANDS) {
            let words: Vec<&str> = example.iter().map(String::as_str).collect();
            assert!(V::parse_command(&words).is_ok(), "{example:?}: {:?}", V::parse_command(&words).err());
        }
        for example in examples(V::QUERIES) {
            let words: Vec<&str> = example.iter().map(String::as_str).collect();
            assert!(V::parse_query(&words).is_ok(), "{example:?}: {:?}", V::parse_query(&words).err());
        }
        for words in [&[][..], &["nonsense"], &["nonsense", "more"]] {
            assert!(V::parse_command(words).is_err() && V::parse_query(words).is_err());
        }
        assert!(Kind::named(V::NAME).is_some());
    }

    #[test]
    fn every_form_that_is_shown_is_understood_and_nothing_else() {
        grammar_is_true::<queue::Queue>();
        grammar_is_true::<counter::Counter>();
        grammar_is_true::<kv::Kv>();
        assert_eq!(Kind::value_variants().len(), 3);
    }
}
