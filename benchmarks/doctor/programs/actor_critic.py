"""Actor and critic on a small grid: find the goal, avoid the pit."""
import sys
import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(int(sys.argv[1]))
SIZE, GOAL, PIT = 4, (3, 3), (1, 2)
MOVES = [(0, 1), (1, 0), (0, -1), (-1, 0)]


class Grid:
    def reset(self):
        self.at, self.time = (0, 0), 0
        return self.observe()

    def observe(self):
        seen = torch.zeros(SIZE * SIZE)
        seen[self.at[0] * SIZE + self.at[1]] = 1
        return seen

    def step(self, action):
        dy, dx = MOVES[action]
        self.at = (min(max(self.at[0] + dy, 0), SIZE - 1), min(max(self.at[1] + dx, 0), SIZE - 1))
        self.time += 1
        if self.at == GOAL:
            return self.observe(), 1.0, True
        if self.at == PIT:
            return self.observe(), -1.0, True
        return self.observe(), -0.02, self.time >= 30


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(SIZE * SIZE, 32)
        self.policy = nn.Linear(32, 4)
        self.value = nn.Linear(32, 1)

    def forward(self, x):
        h = torch.tanh(self.shared(x))
        return Categorical(logits=self.policy(h)), self.value(h).squeeze(-1)


env, agent, gamma = Grid(), ActorCritic(), 0.97
optimizer = torch.optim.Adam(agent.parameters(), lr=0.01)
for episode in range(300):
    state, done = env.reset(), False
    states, actions, rewards = [], [], []
    while not done:
        with torch.no_grad():
            action = agent(state)[0].sample()
        states.append(state)
        actions.append(action)
        state, reward, done = env.step(int(action))
        rewards.append(reward)
    returns, running = [], 0.0
    for r in reversed(rewards):
        running = r + gamma * running
        returns.insert(0, running)
    returns = torch.tensor(returns)
    distribution, values = agent(torch.stack(states))
    advantage = returns - values.detach()
    policy_loss = -(distribution.log_prob(torch.stack(actions)) * advantage).mean()
    value_loss = (values - returns).pow(2).mean()
    loss = policy_loss + 0.5 * value_loss - 0.01 * distribution.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

agent.eval()
total = 0.0
with torch.no_grad():
    for _ in range(30):
        state, done = env.reset(), False
        while not done:
            state, reward, done = env.step(int(agent(state)[0].sample()))
            total += reward
print("score", total / 30)
