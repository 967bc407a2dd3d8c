// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// Does what makes transactions of one block meet: counters, creations, destructions, payments, reads of the block.
contract Probe {
    uint256 public counter;
    mapping(uint256 => uint256) public slots;
    address public child;

    event Seen(uint256 indexed what, uint256 value);

    constructor() payable {}
    receive() external payable {}

    function increment() external {
        counter += 1;
        emit Seen(0, counter);
    }
    /// Reads one slot and writes another whose number depends on it.
    function hop(uint256 from) external {
        uint256 next = (slots[from] % 7) + 1;
        slots[next] += from + 1;
        emit Seen(1, next);
    }
    function pay(address payable to, uint256 value) external payable {
        (bool ok, ) = to.call{value: value}("");
        emit Seen(2, ok ? 1 : 0);
    }
    function balances(address who) external {
        slots[uint160(who) % 5] = who.balance;
        emit Seen(3, who.balance);
    }
    function coinbase() external {
        slots[100] = block.coinbase.balance;
        emit Seen(4, block.coinbase.balance);
    }
    function fail(uint256 reason) external {
        slots[200] += 1;
        if (reason == 0) revert("asked to");
        if (reason == 1) { uint256 i; while (true) { slots[i++] = i; } }
        assert(false);
    }
    function spawn(bytes32 salt) external payable {
        Child made = new Child{salt: salt, value: msg.value}();
        child = address(made);
        slots[300] += made.touch();
    }
    /// Creates and destroys in one transaction: the child is gone at its end (EIP-6780).
    function flash(bytes32 salt, address payable heir) external payable {
        Child made = new Child{salt: salt, value: msg.value}();
        made.touch();
        made.die(heir);
        slots[301] += 1;
    }
    /// Destroys a child made earlier: only its balance moves.
    function kill(address payable heir) external {
        if (child.code.length != 0) Child(payable(child)).die(heir);
        slots[302] = child.code.length;
    }
    function environment() external {
        slots[400] = uint256(keccak256(abi.encode(block.number, block.timestamp, block.prevrandao, block.basefee, blockhash(block.number - 1))));
        emit Seen(5, slots[400]);
    }
}

contract Child {
    uint256 touched;
    constructor() payable {}
    function touch() external returns (uint256) { touched += 1; return touched; }
    function die(address payable heir) external { selfdestruct(heir); }
}
