// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Token} from "contracts/Token.sol";

/// The part of Foundry's cheat codes that the script uses.
interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// Deploys the token and pays some people out of it: many transactions of one sender, one after the other.
contract Deploy {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function run() external {
        vm.startBroadcast();
        Token token = new Token(1000);
        for (uint160 i = 1; i <= 10; i++) token.transfer(address(0xB0B000 + i), i);
        payable(address(0xB0B000)).transfer(1 ether);
        vm.stopBroadcast();
    }
}
