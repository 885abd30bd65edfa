//! The differences between what two generations did.
