//! The module over whole blocks.
mod access;
mod blocks;
mod genesis;
mod harness;
mod hooks;
mod moves;
mod queries;
mod random;
mod rejections;
