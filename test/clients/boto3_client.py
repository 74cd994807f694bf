"""boto3 with its default settings (checksums included) against a Holdfast endpoint given in the environment.

Two phases: `write` stores, `read` compares; between them the test may take nodes away.
"""
import hashlib
import os
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, phase = sys.argv[1], sys.argv[2]
s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}))
bucket = "boto3"


def body(seed: int, size: int) -> bytes:
    block = hashlib.sha256(str(seed).encode()).digest()
    return (block * (size // 32 + 1))[:size]


sizes = [0, 1, 5000, 32768, 32769, 1_000_000, 9_000_000]
keys = [f"pläin/{i} +&?#%/𝄞.bin" for i in range(len(sizes))]

if phase == "write":
    s3.create_bucket(Bucket=bucket)
    for i, size in enumerate(sizes):
        reply = s3.put_object(Bucket=bucket, Key=keys[i], Body=body(i, size), Metadata={"number": str(i)}, ContentType="text/plain")
        assert reply["ETag"] == f'"{hashlib.md5(body(i, size)).hexdigest()}"', reply["ETag"]
        assert "ChecksumCRC32" in reply, reply
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        s3.put_object(Bucket=bucket, Key=f"sum/{algorithm}", Body=b"checked", ChecksumAlgorithm=algorithm)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="multipart", ChecksumAlgorithm="SHA256")
    parts = []
    for number in (1, 2, 3):
        part = s3.upload_part(Bucket=bucket, Key="multipart", UploadId=upload["UploadId"], PartNumber=number,
                              Body=body(number, 5 * 1024 * 1024), ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    assert len(s3.list_parts(Bucket=bucket, Key="multipart", UploadId=upload["UploadId"])["Parts"]) == 3
    done = s3.complete_multipart_upload(Bucket=bucket, Key="multipart", UploadId=upload["UploadId"], MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-3"'), done
    try:
        s3.put_object(Bucket=bucket, Key=keys[1], Body=b"x", IfNoneMatch="*")
        raise AssertionError("a conditional PUT replaced an object")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "PreconditionFailed", error

if phase == "read":
    for i, size in enumerate(sizes):
        reply = s3.get_object(Bucket=bucket, Key=keys[i])
        assert reply["Body"].read() == body(i, size)
        assert reply["Metadata"] == {"number": str(i)}
        assert reply["ContentType"] == "text/plain"
    reply = s3.get_object(Bucket=bucket, Key=keys[5], Range="bytes=100000-200000")
    assert reply["Body"].read() == body(5, 1_000_000)[100000:200001]
    reply = s3.get_object(Bucket=bucket, Key="multipart", PartNumber=2)
    assert reply["Body"].read() == body(2, 5 * 1024 * 1024)
    attributes = s3.get_object_attributes(Bucket=bucket, Key="multipart", ObjectAttributes=["ETag", "ObjectParts", "ObjectSize", "Checksum"])
    assert attributes["ObjectSize"] == 15 * 1024 * 1024 and attributes["ObjectParts"]["TotalPartsCount"] == 3, attributes
    listed = [entry["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3}) for entry in page["Contents"]]
    assert listed == sorted(listed, key=lambda key: key.encode()) and len(listed) == len(sizes) + 4, listed
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": keys[5]})
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == body(5, 1_000_000)
    for signature in [None, "s3v4"]:
        presigner = boto3.client("s3", endpoint_url=endpoint, config=Config(signature_version=signature, s3={"addressing_style": "path"}))
        url = presigner.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": keys[4], "ResponseContentType": "a/b c"})
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == body(4, 32769) and answer.headers["Content-Type"] == "a/b c", url
        url = presigner.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "copied", "ContentType": "text/x", "Metadata": {"by": "url"}})
        headers = {"Content-Type": "text/x", "x-amz-meta-by": "url"}
        with urllib.request.urlopen(urllib.request.Request(url, data=b"put by URL", method="PUT", headers=headers)) as answer:
            assert answer.status == 200, url
        reply = s3.get_object(Bucket=bucket, Key="copied")
        assert reply["Body"].read() == b"put by URL" and reply["ContentType"] == "text/x", reply
        assert reply["Metadata"] == {"by": "url"}, reply
    s3.put_object_tagging(Bucket=bucket, Key="copied", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="copied")["TagSet"] == [{"Key": "a", "Value": "b"}]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in listed + ["copied"]]})
    assert len(deleted["Deleted"]) == len(listed) + 1, deleted
    s3.delete_bucket(Bucket=bucket)
