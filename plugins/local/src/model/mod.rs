//! Reading a folder that MLflow saved a model in.
