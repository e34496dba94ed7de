//! Values that an older build wrote.

use crate::value;
use serde::de::DeserializeOwned;

/// A value as an older version of its type wrote it; see [`Value::upgrade`](crate::Value::upgrade).
#[derive(Clone, Copy)]
pub struct OldValue<'a> {
    version: u32,
    bytes: &'a [u8],
}

/// Why a value of an older version cannot be made one of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct CannotUpgrade {
    why: String,
}

impl<'a> OldValue<'a> {
    pub(crate) fn new(version: u32, bytes: &'a [u8]) -> OldValue<'a> {
        OldValue { version, bytes }
    }

    /// The [`Value::VERSION`](crate::Value::VERSION) of the build that wrote it.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Reads it as the type that it was then.
    ///
    /// # Errors
    ///
    /// If it was another.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CannotUpgrade> {
        value::decode(self.bytes).map_err(|error| CannotUpgrade::because(error.to_string()))
    }
}

impl CannotUpgrade {
    /// For reasons of your own.
    pub fn because(why: impl Into<String>) -> CannotUpgrade {
        CannotUpgrade { why: why.into() }
    }
}
