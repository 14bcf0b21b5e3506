//! From a key and a value to the version that they are.

use super::{KeyId, NOBODY, Version, VersionId};
use crate::value::{FastBuild, Value, table_hash};
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// The index of all versions. It holds eight bytes a version, since most of what a big index costs is memory that
/// is not in the cache: a hash, which is all that a table has to know to grow, and the version's row.
#[derive(Clone, Debug, Default)]
pub(super) struct VersionIds {
    table: HashTable<(u32, VersionId)>,
}

impl VersionIds {
    /// An empty one, with room for so many.
    pub(super) fn with_capacity(versions: usize) -> VersionIds {
        VersionIds { table: HashTable::with_capacity(versions) }
    }

    /// The version of that value, if `versions` has it.
    pub(super) fn find(&self, versions: &[Version], key: KeyId, value: Value) -> Option<VersionId> {
        let hash = hash(key, value);
        let found = self.table.find(table_hash(hash), |entry| is(versions, *entry, hash, key, value))?;
        Some(found.1)
    }

    /// The same; a version that is new goes to the end of `versions`, and nobody wrote it so far.
    pub(super) fn find_or_add(&mut self, versions: &mut Vec<Version>, key: KeyId, value: Value) -> VersionId {
        let hash = hash(key, value);
        let next = versions.len() as VersionId;
        let entry = self.table.entry(
            table_hash(hash),
            |entry| is(versions, *entry, hash, key, value),
            |entry| table_hash(entry.0),
        );
        let (_, version) = *entry.or_insert((hash, next)).get();
        if version == next {
            versions.push(Version { key, value, writer: NOBODY, is_intermediate: false });
        }
        version
    }
}

fn is(versions: &[Version], entry: (u32, VersionId), hash: u32, key: KeyId, value: Value) -> bool {
    entry.0 == hash && {
        let version = &versions[entry.1 as usize];
        version.value == value && version.key == key
    }
}

fn hash(key: KeyId, value: Value) -> u32 {
    (FastBuild::default().hash_one((key, value)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_by_its_key_and_its_value() {
        let (mut ids, mut versions) = (VersionIds::default(), Vec::new());
        let value = |int: u32| Value::small_int(i64::from(int)).expect("a small one");
        for round in 0..2 {
            for key in 0..300 {
                for int in 0..30 {
                    let id = ids.find_or_add(&mut versions, key, value(int));
                    assert_eq!(id, key * 30 + int, "in round {round}");
                    assert_eq!(ids.find(&versions, key, value(int)), Some(id));
                }
            }
        }
        assert_eq!(versions.len(), 9_000);
        assert_eq!(ids.find(&versions, 0, value(30)), None);
        assert_eq!(ids.find(&versions, 300, value(0)), None);
    }
}
