//! MLflow's scoring protocol: what is read as inputs, and what is written as predictions. It knows no engine.
