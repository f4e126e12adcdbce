//! Python objects as a record has them, and as they are shown.

mod nodes;
mod repr;
#[cfg(test)]
mod tests;

pub(super) use self::repr::repr;
