//! `footprint`: what the contenders of the bench `resilience` take of memory, a line for each. The crate that counts
//! brings the allocator of this process with it.

use shakedown_benches::resilience::footprint::{Counted, serve};

fn main() {
    serve(&|work| {
        let counted = allocation_counter::measure(work);
        let bytes_kept = u64::try_from(counted.bytes_current).unwrap_or(0);
        Counted { allocations: counted.count_total, bytes_kept }
    });
}
