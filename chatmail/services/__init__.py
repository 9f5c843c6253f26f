"""One class per listener or loop, each with `async run(stop)`. No service imports another."""
