from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.common.principals import UNKNOWN_NETWORK, Device


def at(address: str) -> Device:
    return Device(user_agent="", ip_address=address)


@pytest.mark.parametrize(
    ("address", "network", "place"),
    [
        ("198.51.100.7", "198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::1", "::/64", "::/48"),
        ("", UNKNOWN_NETWORK, ""),
    ],
)
def test_a_network_is_what_one_customer_has_and_a_place_is_coarser(
    address: str, network: str, place: str
) -> None:
    assert (at(address).network, at(address).place) == (network, place)


@given(st.ip_addresses())
def test_every_address_lies_in_its_network_and_in_its_place(
    address: IPv4Address | IPv6Address,
) -> None:
    device = at(str(address))
    assert address in ip_network(device.network)
    assert address in ip_network(device.place)
    assert "#" not in device.network
    assert at(str(ip_address(address))).network == device.network
