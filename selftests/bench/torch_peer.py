#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""PyTorch as a peer of `fixar bench`: the same DDPG step (critic, actor, both soft updates) of the same networks, in float32.

compare.py starts this with the number of threads and speaks with it through standard input and output: "train BATCH SECONDS" or
"act SECONDS" is answered with "COUNT WALL_SECONDS PROCESSOR_SECONDS LOSS"; the loss, of the last step's batch, shows that what is
timed learns. The system's own Python runs it, for which Debian packages PyTorch.
"""

import sys
import time

import torch
from torch import nn

OBSERVATIONS, ACTIONS, DISCOUNT, TAU = 17, 6, 0.99, 0.005


def network(inputs, outputs, *last):
    return nn.Sequential(nn.Linear(inputs, 400), nn.ReLU(), nn.Linear(400, 300), nn.ReLU(), nn.Linear(300, outputs), *last)


class Agent:
    def __init__(self, batch):
        self.actor, self.actor_target = (network(OBSERVATIONS, ACTIONS, nn.Tanh()) for _ in range(2))
        self.critic, self.critic_target = (network(OBSERVATIONS + ACTIONS, 1) for _ in range(2))
        self.actor_target.load_state_dict(self.actor.state_dict())
        self.critic_target.load_state_dict(self.critic.state_dict())
        # The fastest forms that this version has: one call for all tensors.
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), 1e-3, foreach=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), 1e-3, foreach=True)
        self.critic_parameters = list(self.critic.parameters())
        self.online = self.critic_parameters + list(self.actor.parameters())
        self.targets = list(self.critic_target.parameters()) + list(self.actor_target.parameters())
        self.observation, self.next_observation = torch.randn(batch, OBSERVATIONS), torch.randn(batch, OBSERVATIONS)
        self.action, self.reward = torch.rand(batch, ACTIONS) * 2 - 1, torch.randn(batch, 1)
        self.loss = torch.zeros(())

    def step(self):
        with torch.no_grad():
            action = self.actor_target(self.next_observation)
            target = self.reward + DISCOUNT * self.critic_target(torch.cat((self.next_observation, action), 1))
        loss = nn.functional.mse_loss(self.critic(torch.cat((self.observation, self.action), 1)), target)
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimizer.step()
        self.loss = loss.detach()

        # The critic's own gradients are not wanted here.
        for parameter in self.critic_parameters:
            parameter.requires_grad_(False)
        opinion = -self.critic(torch.cat((self.observation, self.actor(self.observation)), 1)).mean()
        self.actor_optimizer.zero_grad(set_to_none=True)
        opinion.backward()
        self.actor_optimizer.step()
        for parameter in self.critic_parameters:
            parameter.requires_grad_(True)

        with torch.no_grad():
            torch._foreach_mul_(self.targets, 1 - TAU)
            torch._foreach_add_(self.targets, self.online, alpha=TAU)

    def act(self):
        with torch.inference_mode():
            self.actor(self.observation)


def answer(seconds, agent, work):
    count, start, processor = 0, time.monotonic(), time.process_time()
    while True:
        work()
        count += 1
        passed = time.monotonic() - start
        if passed >= seconds:
            break
    print(count, passed, time.process_time() - processor, float(agent.loss), flush=True)


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    agents = {}
    print(f"ready PyTorch {torch.__version__}", flush=True)
    for line in sys.stdin:
        words = line.split()
        batch = int(words[1]) if words[0] == "train" else 1
        agent = agents.setdefault((words[0], batch), Agent(batch))
        answer(float(words[-1]), agent, agent.step if words[0] == "train" else agent.act)


main()
