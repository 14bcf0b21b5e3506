//! Sets of intervals on a line of integer positions: what the procedures need to ask about them,
//! each answer in logarithmic time or better.

/// A growing union of open intervals. Near-constant amortized time per operation.
///
/// Asking from an integer, the next free point of the line is always an integer: a point in between
/// is covered together with one of its neighbours.
pub(super) struct Cover {
    /// Disjoint-set forest: a free position points to itself, a covered one to a later one.
    next: Vec<u32>,
}

impl Cover {
    /// Nothing covered, over the positions `0..=end`; `end` itself stays free.
    pub(super) fn new(end: u32) -> Cover {
        Cover { next: (0..=end).collect() }
    }

    /// The first free position at or after `from`.
    pub(super) fn first_free(&mut self, from: u32) -> u32 {
        let mut x = from as usize;
        while self.next[x] as usize != x {
            let next = self.next[x] as usize;
            self.next[x] = self.next[next];
            x = self.next[x] as usize;
        }
        x as u32
    }

    /// Covers the open interval between `after` and `before`; empty if `before <= after`.
    pub(super) fn add(&mut self, after: u32, before: u32) {
        if before <= after {
            return;
        }
        let mut x = self.first_free(after + 1);
        while x < before {
            self.next[x as usize] = x + 1;
            x = self.first_free(x + 1);
        }
    }
}

/// How many open intervals cover each position; intervals can be taken away again.
///
/// A segment tree over positions: `min[p]` is the least count below node `p` without what `added`
/// says of its ancestors.
pub(super) struct Coverage {
    leaves: usize,
    min: Vec<i32>,
    added: Vec<i32>,
}

impl Coverage {
    /// Counts of `intervals`, each open, over the positions `0..=end`. Position 0 and `end` must
    /// not be covered.
    pub(super) fn new(end: u32, intervals: impl Iterator<Item = (u32, u32)>) -> Coverage {
        let leaves = (end as usize + 1).next_power_of_two();
        let mut min = vec![0; 2 * leaves];
        for (after, before) in intervals {
            if after < before {
                min[leaves + after as usize + 1] += 1;
                min[leaves + before as usize] -= 1;
            }
        }
        let mut count = 0;
        for leaf in &mut min[leaves..] {
            count += *leaf;
            *leaf = count;
        }
        assert!(min[leaves] == 0 && min[leaves + end as usize] == 0, "both ends stay free");
        for p in (1..leaves).rev() {
            min[p] = min[2 * p].min(min[2 * p + 1]);
        }
        Coverage { leaves, min, added: vec![0; leaves] }
    }

    /// Takes one open interval away that was counted.
    pub(super) fn remove(&mut self, after: u32, before: u32) {
        let (first, end) = (self.leaves + after as usize + 1, self.leaves + before as usize);
        if first >= end {
            return;
        }
        let (mut left, mut right) = (first, end);
        while left < right {
            if left & 1 == 1 {
                self.decrement(left);
                left += 1;
            }
            if right & 1 == 1 {
                right -= 1;
                self.decrement(right);
            }
            left /= 2;
            right /= 2;
        }
        self.refresh_above(first);
        self.refresh_above(end - 1);
    }

    /// The first position at or after `from` that nothing covers.
    pub(super) fn first_free(&self, from: u32) -> u32 {
        let mut p = self.leaves + from as usize;
        let mut above = self.added_above(p);
        while self.min[p] + above != 0 {
            while p & 1 == 1 {
                p /= 2;
                above -= self.added[p];
            }
            p += 1;
        }
        while p < self.leaves {
            above += self.added[p];
            p *= 2;
            if self.min[p] + above != 0 {
                p += 1;
            }
        }
        (p - self.leaves) as u32
    }

    /// The last position at or before `from` that nothing covers.
    pub(super) fn last_free(&self, from: u32) -> u32 {
        let mut p = self.leaves + from as usize;
        let mut above = self.added_above(p);
        while self.min[p] + above != 0 {
            while p & 1 == 0 {
                p /= 2;
                above -= self.added[p];
            }
            p -= 1;
        }
        while p < self.leaves {
            above += self.added[p];
            p = 2 * p + 1;
            if self.min[p] + above != 0 {
                p -= 1;
            }
        }
        (p - self.leaves) as u32
    }

    fn decrement(&mut self, p: usize) {
        self.min[p] -= 1;
        if p < self.leaves {
            self.added[p] -= 1;
        }
    }

    fn refresh_above(&mut self, mut p: usize) {
        while p > 1 {
            p /= 2;
            self.min[p] = self.min[2 * p].min(self.min[2 * p + 1]) + self.added[p];
        }
    }

    fn added_above(&self, mut p: usize) -> i32 {
        let mut sum = 0;
        while p > 1 {
            p /= 2;
            sum += self.added[p];
        }
        sum
    }
}

/// A row of numbers that is asked for its first small entry in a range: a segment tree of minima.
pub(super) struct Minima {
    leaves: usize,
    min: Vec<u32>,
}

impl Minima {
    /// What a removed entry holds.
    const GONE: u32 = u32::MAX;

    pub(super) fn new(row: impl ExactSizeIterator<Item = u32>) -> Minima {
        let leaves = row.len().next_power_of_two();
        let mut min = vec![Minima::GONE; 2 * leaves];
        for (leaf, number) in min[leaves..].iter_mut().zip(row) {
            *leaf = number;
        }
        for p in (1..leaves).rev() {
            min[p] = min[2 * p].min(min[2 * p + 1]);
        }
        Minima { leaves, min }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, index: usize) {
        let mut p = self.leaves + index;
        self.min[p] = Minima::GONE;
        while p > 1 {
            p /= 2;
            self.min[p] = self.min[2 * p].min(self.min[2 * p + 1]);
        }
    }

    /// The first entry at or after `from` that is at most `bound`, which is less than `u32::MAX`.
    pub(super) fn first_at_most(&self, bound: u32, from: usize) -> Option<usize> {
        if from >= self.leaves {
            return None;
        }
        let mut p = self.leaves + from;
        while self.min[p] > bound {
            while p & 1 == 1 {
                p /= 2;
            }
            if p == 0 {
                return None;
            }
            p += 1;
        }
        while p < self.leaves {
            p *= 2;
            if self.min[p] > bound {
                p += 1;
            }
        }
        Some(p - self.leaves)
    }
}
