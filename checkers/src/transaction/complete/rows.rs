//! Rows of different lengths in one vector: the readers of each version, the arcs out of each node.

/// Items grouped by row, each row contiguous.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy + Default> Rows<T> {
    /// Groups `items` by `row`, a number below `rows`; the order within a row is that of `items`. O(n).
    pub(super) fn group<I>(
        rows: usize,
        items: &[I],
        row: impl Fn(&I) -> u32,
        item: impl Fn(&I) -> T,
    ) -> Rows<T> {
        let mut starts = vec![0_u32; rows + 1];
        for entry in items {
            starts[row(entry) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut grouped = vec![T::default(); items.len()];
        for entry in items {
            let at = &mut next[row(entry) as usize];
            grouped[*at as usize] = item(entry);
            *at += 1;
        }
        Rows { starts, items: grouped }
    }

    /// One row.
    pub(super) fn of(&self, row: u32) -> &[T] {
        &self.items[self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize]
    }

    /// One row, to be changed in place.
    pub(super) fn of_mut(&mut self, row: u32) -> &mut [T] {
        &mut self.items[self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize]
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
}
