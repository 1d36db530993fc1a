//! Clinical models as FHIR operations: registry, ONNX runtime, features, explanation.
