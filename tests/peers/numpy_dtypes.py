"""numpy_dtypes.py CASES: the elements of numpy's arrays of each dtype. CASES is a file with `values` and `dtypes`.

Prints an object with a list for each dtype: the element of each value as text, or null if numpy raises an exception. A
float is the hexadecimal form of its bits, a date or a duration the number of its units.
"""

import json
import struct
import sys

import numpy


def bits(number):
    number = float(number)
    return "nan" if number != number else struct.pack(">d", number).hex()


def element(value, dtype):
    try:
        array = numpy.array([value], dtype=dtype)
    except Exception:  # The class of the exception is not compared.
        return None
    if array.dtype.kind == "c":
        return bits(array[0].real) + " " + bits(array[0].imag)
    if array.dtype.kind == "f":
        return bits(array[0])
    if array.dtype.kind in "mM":
        count = int(array.view("int64")[0])
        return "NaT" if count == -(2**63) else str(count)
    return str(array[0])


cases = json.load(open(sys.argv[1]))
print(json.dumps({dtype: [element(value, dtype) for value in cases["values"]] for dtype in cases["dtypes"]}))
