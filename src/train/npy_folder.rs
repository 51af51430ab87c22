//! Folders of `.npy` columns.
