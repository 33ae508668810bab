//! The protobuf messages of `onnx.proto`, and their fields that contain messages. A test compares this table with
//! `onnx.proto`.

/// The type of a protobuf message in `onnx.proto`.
pub(super) struct MessageType {
    pub(super) name: &'static str,
    /// The numbers of the fields that contain numbers, strings or bytes.
    pub(super) scalars: &'static [u32],
    pub(super) messages: &'static [MessageField],
}

/// A field that contains other messages.
pub(super) struct MessageField {
    pub(super) number: u32,
    /// True if the field occurs at most once in its message.
    pub(super) is_single: bool,
    pub(super) message: &'static MessageType,
}

impl MessageType {
    /// Returns the field with this number if it contains messages; `None` for other fields.
    pub(super) fn message_field(&self, number: u32) -> Option<&'static MessageField> {
        self.messages.iter().find(|field| field.number == number)
    }
}

const fn one(number: u32, message: &'static MessageType) -> MessageField {
    MessageField { number, is_single: true, message }
}

const fn many(number: u32, message: &'static MessageType) -> MessageField {
    MessageField { number, is_single: false, message }
}

pub(super) static MODEL: MessageType = MessageType {
    name: "ModelProto",
    scalars: &[1, 2, 3, 4, 5, 6],
    messages: &[
        one(7, &GRAPH),
        many(8, &OPERATOR_SET_ID),
        many(14, &STRING_STRING_ENTRY),
        many(20, &TRAINING_INFO),
        many(25, &FUNCTION),
        many(26, &DEVICE_CONFIGURATION),
    ],
};
static OPERATOR_SET_ID: MessageType = MessageType { name: "OperatorSetIdProto", scalars: &[1, 2], messages: &[] };
static GRAPH: MessageType = MessageType {
    name: "GraphProto",
    scalars: &[2, 10],
    messages: &[
        many(1, &NODE),
        many(5, &TENSOR),
        many(11, &VALUE_INFO),
        many(12, &VALUE_INFO),
        many(13, &VALUE_INFO),
        many(14, &TENSOR_ANNOTATION),
        many(15, &SPARSE_TENSOR),
        many(16, &STRING_STRING_ENTRY),
    ],
};
static STRING_STRING_ENTRY: MessageType =
    MessageType { name: "StringStringEntryProto", scalars: &[1, 2], messages: &[] };
static TRAINING_INFO: MessageType = MessageType {
    name: "TrainingInfoProto",
    scalars: &[],
    messages: &[one(1, &GRAPH), one(2, &GRAPH), many(3, &STRING_STRING_ENTRY), many(4, &STRING_STRING_ENTRY)],
};
static FUNCTION: MessageType = MessageType {
    name: "FunctionProto",
    scalars: &[1, 4, 5, 6, 8, 10, 13],
    messages: &[
        many(7, &NODE),
        many(9, &OPERATOR_SET_ID),
        many(11, &ATTRIBUTE),
        many(12, &VALUE_INFO),
        many(14, &STRING_STRING_ENTRY),
    ],
};
static DEVICE_CONFIGURATION: MessageType =
    MessageType { name: "DeviceConfigurationProto", scalars: &[1, 2, 3], messages: &[] };
pub(super) static NODE: MessageType = MessageType {
    name: "NodeProto",
    scalars: &[1, 2, 3, 4, 6, 7, 8],
    messages: &[many(5, &ATTRIBUTE), many(9, &STRING_STRING_ENTRY), many(10, &NODE_DEVICE_CONFIGURATION)],
};
pub(super) static TENSOR: MessageType = MessageType {
    name: "TensorProto",
    scalars: &[1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14],
    messages: &[one(3, &TENSOR_SEGMENT), many(13, &STRING_STRING_ENTRY), many(16, &STRING_STRING_ENTRY)],
};
static SPARSE_TENSOR: MessageType =
    MessageType { name: "SparseTensorProto", scalars: &[3], messages: &[one(1, &TENSOR), one(2, &TENSOR)] };
static VALUE_INFO: MessageType =
    MessageType { name: "ValueInfoProto", scalars: &[1, 3], messages: &[one(2, &TYPE), many(4, &STRING_STRING_ENTRY)] };
static TENSOR_ANNOTATION: MessageType =
    MessageType { name: "TensorAnnotation", scalars: &[1], messages: &[many(2, &STRING_STRING_ENTRY)] };
static ATTRIBUTE: MessageType = MessageType {
    name: "AttributeProto",
    scalars: &[1, 2, 3, 4, 7, 8, 9, 13, 20, 21],
    messages: &[
        one(5, &TENSOR),
        one(6, &GRAPH),
        many(10, &TENSOR),
        many(11, &GRAPH),
        one(14, &TYPE),
        many(15, &TYPE),
        one(22, &SPARSE_TENSOR),
        many(23, &SPARSE_TENSOR),
    ],
};
static NODE_DEVICE_CONFIGURATION: MessageType =
    MessageType { name: "NodeDeviceConfigurationProto", scalars: &[1, 3], messages: &[many(2, &SHARDING_SPEC)] };
static TENSOR_SEGMENT: MessageType = MessageType { name: "TensorProto.Segment", scalars: &[1, 2], messages: &[] };
static TYPE: MessageType = MessageType {
    name: "TypeProto",
    scalars: &[6],
    messages: &[
        one(1, &TYPE_TENSOR),
        one(4, &TYPE_SEQUENCE),
        one(5, &TYPE_MAP),
        one(7, &TYPE_OPAQUE),
        one(8, &TYPE_SPARSE_TENSOR),
        one(9, &TYPE_OPTIONAL),
    ],
};
static SHARDING_SPEC: MessageType = MessageType {
    name: "ShardingSpecProto",
    scalars: &[1, 2],
    messages: &[many(3, &INT_INT_LIST_ENTRY), many(4, &SHARDED_DIM)],
};
static TYPE_TENSOR: MessageType =
    MessageType { name: "TypeProto.Tensor", scalars: &[1], messages: &[one(2, &TENSOR_SHAPE)] };
static TYPE_SEQUENCE: MessageType =
    MessageType { name: "TypeProto.Sequence", scalars: &[], messages: &[one(1, &TYPE)] };
static TYPE_MAP: MessageType = MessageType { name: "TypeProto.Map", scalars: &[1], messages: &[one(2, &TYPE)] };
static TYPE_OPTIONAL: MessageType =
    MessageType { name: "TypeProto.Optional", scalars: &[], messages: &[one(1, &TYPE)] };
static TYPE_SPARSE_TENSOR: MessageType =
    MessageType { name: "TypeProto.SparseTensor", scalars: &[1], messages: &[one(2, &TENSOR_SHAPE)] };
static TYPE_OPAQUE: MessageType = MessageType { name: "TypeProto.Opaque", scalars: &[1, 2], messages: &[] };
static INT_INT_LIST_ENTRY: MessageType = MessageType { name: "IntIntListEntryProto", scalars: &[1, 2], messages: &[] };
static SHARDED_DIM: MessageType =
    MessageType { name: "ShardedDimProto", scalars: &[1], messages: &[many(2, &SIMPLE_SHARDED_DIM)] };
static TENSOR_SHAPE: MessageType =
    MessageType { name: "TensorShapeProto", scalars: &[], messages: &[many(1, &TENSOR_SHAPE_DIMENSION)] };
static SIMPLE_SHARDED_DIM: MessageType =
    MessageType { name: "SimpleShardedDimProto", scalars: &[1, 2, 3], messages: &[] };
static TENSOR_SHAPE_DIMENSION: MessageType =
    MessageType { name: "TensorShapeProto.Dimension", scalars: &[1, 2, 3], messages: &[] };
