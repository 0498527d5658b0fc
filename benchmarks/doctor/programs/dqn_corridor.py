import copy
import random
import sys
from collections import deque
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(sys.argv[1])
random.seed(seed)
torch.manual_seed(seed)
N = 6  # cells; the treasure is at the right end, a small coin at the left


def features(s):
    return F.one_hot(torch.as_tensor(s), N).float()


def env_step(s, a):
    s = s + (1 if a else -1)
    if s == 0:
        return s, 0.1, True
    if s == N - 1:
        return s, 1.0, True
    return s, 0.0, False


q_net = nn.Sequential(nn.Linear(N, 24), nn.ReLU(), nn.Linear(24, 2))
target_net = copy.deepcopy(q_net)
optimizer = torch.optim.Adam(q_net.parameters(), lr=5e-3)
memory = deque(maxlen=800)
s, gamma = 2, 0.9
for step in range(1200):
    explore = random.random() < max(0.1, 1 - step / 800)
    with torch.no_grad():
        a = random.randrange(2) if explore else int(q_net(features(s)).argmax())
    s2, r, done = env_step(s, a)
    memory.append((s, a, r, s2, done))
    s = 2 if done else s2
    if len(memory) < 64:
        continue
    batch = random.sample(memory, 32)
    bs, ba, br, bs2, bd = map(torch.tensor, zip(*batch))
    with torch.no_grad():
        best_next = target_net(features(bs2)).max(1).values
        target = br + gamma * best_next * (1 - bd.float())
    value = q_net(features(bs)).gather(1, ba[:, None]).squeeze(1)
    loss = F.smooth_l1_loss(value, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        target_net.load_state_dict(q_net.state_dict())

with torch.no_grad():
    q = q_net(features(torch.arange(1, N - 1)))
truth = torch.tensor([[0.1 if s == 1 else gamma ** (N - s), gamma ** (N - 2 - s)] for s in range(1, N - 1)])
right = truth[:, 1]
print("score", 1 - (q[:, 1] - right).abs().mean().item())
