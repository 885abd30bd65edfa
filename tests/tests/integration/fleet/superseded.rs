//! Work that has become stale, or that somebody else has done.
