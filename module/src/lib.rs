//! Say what a module is, and hold many of different types in one list.
