//! An allocator that counts, so that allocations can be measured beside times without being a part of them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The system's allocator, with what one call at a time allocates. Nothing is counted outside of that call.
///
/// ```
/// use llb_benches::Counter;
///
/// #[global_allocator]
/// static COUNTER: Counter = Counter::new();
///
/// fn main() {
///     let (numbers, allocated) = COUNTER.count(|| vec![1_u64, 2, 3]);
///     assert_eq!((numbers.len(), allocated.times, allocated.bytes), (3, 1, 24));
/// }
/// ```
#[derive(Debug)]
pub struct Counter {
    is_counting: AtomicBool,
    times: AtomicU64,
    bytes: AtomicU64,
}

/// What a call allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// How often it asks for memory, or for more of it.
    pub times: u64,
    /// How much it asks for, all in all.
    pub bytes: u64,
}

impl Counter {
    /// A counter, to be made the global allocator.
    #[expect(clippy::new_without_default, reason = "an allocator is a static")]
    pub const fn new() -> Self {
        Self {
            is_counting: AtomicBool::new(false),
            times: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// The result of a call, and what it allocates. Other threads must not allocate meanwhile.
    pub fn count<R>(&self, run: impl FnOnce() -> R) -> (R, Allocated) {
        self.times.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
        self.is_counting.store(true, Relaxed);
        let result = run();
        self.is_counting.store(false, Relaxed);
        let allocated = Allocated {
            times: self.times.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        };
        (result, allocated)
    }

    fn add(&self, bytes: usize) {
        if self.is_counting.load(Relaxed) {
            self.times.fetch_add(1, Relaxed);
            self.bytes.fetch_add(bytes as u64, Relaxed);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the trait of allocators is unsafe; every call goes to the system's as it is"
)]
// SAFETY: whatever the caller promises to this allocator is what the system's is promised, and its answers are handed on.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.add(size.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
