//! Client load, faults and worlds.
