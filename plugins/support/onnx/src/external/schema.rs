//! The messages of `onnx.proto`, as the walk needs them: which fields have messages, and which do not. A test compares
//! this table with the schema.

/// One kind of message.
pub(super) struct Message {
    pub(super) name: &'static str,
    /// Fields without messages.
    pub(super) plain: &'static [u32],
    pub(super) inner: &'static [Inner],
}

/// A field that has messages.
pub(super) struct Inner {
    pub(super) number: u32,
    /// Whether there can be one at most.
    pub(super) is_single: bool,
    pub(super) message: &'static Message,
}

impl Message {
    /// The field of a number, if it has messages.
    pub(super) fn inner(&self, number: u32) -> Option<&'static Inner> {
        self.inner.iter().find(|inner| inner.number == number)
    }
}

const fn one(number: u32, message: &'static Message) -> Inner {
    Inner { number, is_single: true, message }
}

const fn many(number: u32, message: &'static Message) -> Inner {
    Inner { number, is_single: false, message }
}

pub(super) static MODEL: Message = Message {
    name: "ModelProto",
    plain: &[1, 2, 3, 4, 5, 6],
    inner: &[
        one(7, &GRAPH),
        many(8, &OPERATOR_SET_ID),
        many(14, &STRING_STRING_ENTRY),
        many(20, &TRAINING_INFO),
        many(25, &FUNCTION),
        many(26, &DEVICE_CONFIGURATION),
    ],
};
static OPERATOR_SET_ID: Message = Message { name: "OperatorSetIdProto", plain: &[1, 2], inner: &[] };
static GRAPH: Message = Message {
    name: "GraphProto",
    plain: &[2, 10],
    inner: &[
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
static STRING_STRING_ENTRY: Message = Message { name: "StringStringEntryProto", plain: &[1, 2], inner: &[] };
static TRAINING_INFO: Message = Message {
    name: "TrainingInfoProto",
    plain: &[],
    inner: &[one(1, &GRAPH), one(2, &GRAPH), many(3, &STRING_STRING_ENTRY), many(4, &STRING_STRING_ENTRY)],
};
static FUNCTION: Message = Message {
    name: "FunctionProto",
    plain: &[1, 4, 5, 6, 8, 10, 13],
    inner: &[
        many(7, &NODE),
        many(9, &OPERATOR_SET_ID),
        many(11, &ATTRIBUTE),
        many(12, &VALUE_INFO),
        many(14, &STRING_STRING_ENTRY),
    ],
};
static DEVICE_CONFIGURATION: Message = Message { name: "DeviceConfigurationProto", plain: &[1, 2, 3], inner: &[] };
pub(super) static NODE: Message = Message {
    name: "NodeProto",
    plain: &[1, 2, 3, 4, 6, 7, 8],
    inner: &[many(5, &ATTRIBUTE), many(9, &STRING_STRING_ENTRY), many(10, &NODE_DEVICE_CONFIGURATION)],
};
pub(super) static TENSOR: Message = Message {
    name: "TensorProto",
    plain: &[1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14],
    inner: &[one(3, &TENSOR_SEGMENT), many(13, &STRING_STRING_ENTRY), many(16, &STRING_STRING_ENTRY)],
};
static SPARSE_TENSOR: Message =
    Message { name: "SparseTensorProto", plain: &[3], inner: &[one(1, &TENSOR), one(2, &TENSOR)] };
static VALUE_INFO: Message =
    Message { name: "ValueInfoProto", plain: &[1, 3], inner: &[one(2, &TYPE), many(4, &STRING_STRING_ENTRY)] };
static TENSOR_ANNOTATION: Message =
    Message { name: "TensorAnnotation", plain: &[1], inner: &[many(2, &STRING_STRING_ENTRY)] };
static ATTRIBUTE: Message = Message {
    name: "AttributeProto",
    plain: &[1, 2, 3, 4, 7, 8, 9, 13, 20, 21],
    inner: &[
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
static NODE_DEVICE_CONFIGURATION: Message =
    Message { name: "NodeDeviceConfigurationProto", plain: &[1, 3], inner: &[many(2, &SHARDING_SPEC)] };
static TENSOR_SEGMENT: Message = Message { name: "TensorProto.Segment", plain: &[1, 2], inner: &[] };
static TYPE: Message = Message {
    name: "TypeProto",
    plain: &[6],
    inner: &[
        one(1, &TYPE_TENSOR),
        one(4, &TYPE_SEQUENCE),
        one(5, &TYPE_MAP),
        one(7, &TYPE_OPAQUE),
        one(8, &TYPE_SPARSE_TENSOR),
        one(9, &TYPE_OPTIONAL),
    ],
};
static SHARDING_SPEC: Message = Message {
    name: "ShardingSpecProto",
    plain: &[1, 2],
    inner: &[many(3, &INT_INT_LIST_ENTRY), many(4, &SHARDED_DIM)],
};
static TYPE_TENSOR: Message = Message { name: "TypeProto.Tensor", plain: &[1], inner: &[one(2, &TENSOR_SHAPE)] };
static TYPE_SEQUENCE: Message = Message { name: "TypeProto.Sequence", plain: &[], inner: &[one(1, &TYPE)] };
static TYPE_MAP: Message = Message { name: "TypeProto.Map", plain: &[1], inner: &[one(2, &TYPE)] };
static TYPE_OPTIONAL: Message = Message { name: "TypeProto.Optional", plain: &[], inner: &[one(1, &TYPE)] };
static TYPE_SPARSE_TENSOR: Message =
    Message { name: "TypeProto.SparseTensor", plain: &[1], inner: &[one(2, &TENSOR_SHAPE)] };
static TYPE_OPAQUE: Message = Message { name: "TypeProto.Opaque", plain: &[1, 2], inner: &[] };
static INT_INT_LIST_ENTRY: Message = Message { name: "IntIntListEntryProto", plain: &[1, 2], inner: &[] };
static SHARDED_DIM: Message = Message { name: "ShardedDimProto", plain: &[1], inner: &[many(2, &SIMPLE_SHARDED_DIM)] };
static TENSOR_SHAPE: Message =
    Message { name: "TensorShapeProto", plain: &[], inner: &[many(1, &TENSOR_SHAPE_DIMENSION)] };
static SIMPLE_SHARDED_DIM: Message = Message { name: "SimpleShardedDimProto", plain: &[1, 2, 3], inner: &[] };
static TENSOR_SHAPE_DIMENSION: Message = Message { name: "TensorShapeProto.Dimension", plain: &[1, 2, 3], inner: &[] };
