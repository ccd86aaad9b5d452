"""Every operation of Lambda that the fake knows, but for Invoke, which the cloud does itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mcp_packager.testing.aws import access, aliases, bounds, functions
from mcp_packager.testing.aws.account import Account, Answer, Asked

OPERATIONS: Mapping[str, Callable[[Account, Asked], Answer]] = MappingProxyType(
    {
        "AddPermission": access.add,
        "CreateAlias": aliases.create,
        "CreateFunction": functions.create,
        "CreateFunctionUrlConfig": access.create_url,
        "DeleteAlias": aliases.delete,
        "DeleteFunction": functions.delete,
        "DeleteFunctionConcurrency": bounds.unreserve,
        "DeleteFunctionEventInvokeConfig": bounds.drop_asynchronous,
        "DeleteFunctionUrlConfig": access.delete_url,
        "DeleteProvisionedConcurrencyConfig": bounds.unprovision,
        "GetAccountSettings": bounds.account_settings,
        "GetAlias": aliases.get,
        "GetFunction": functions.get,
        "GetFunctionConcurrency": bounds.reserved,
        "GetFunctionConfiguration": functions.configuration,
        "GetFunctionEventInvokeConfig": bounds.get_asynchronous,
        "GetFunctionUrlConfig": access.get_url,
        "GetPolicy": access.policy,
        "GetProvisionedConcurrencyConfig": bounds.provisioned,
        "ListAliases": aliases.listed,
        "ListFunctionUrlConfigs": access.list_urls,
        "ListFunctions": functions.listed,
        "ListProvisionedConcurrencyConfigs": bounds.list_provisioned,
        "ListTags": bounds.tags,
        "ListVersionsByFunction": functions.versions,
        "PublishVersion": functions.publish,
        "PutFunctionConcurrency": bounds.reserve,
        "PutFunctionEventInvokeConfig": bounds.asynchronous,
        "PutProvisionedConcurrencyConfig": bounds.provision,
        "RemovePermission": access.remove,
        "TagResource": bounds.tag,
        "UntagResource": bounds.untag,
        "UpdateAlias": aliases.update,
        "UpdateFunctionCode": functions.update_code,
        "UpdateFunctionConfiguration": functions.update_configuration,
        "UpdateFunctionUrlConfig": access.update_url,
    }
)
