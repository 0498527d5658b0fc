import sys, torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from sklearn.datasets import load_digits

def get_data(seed):
    d = load_digits()
    g = torch.Generator().manual_seed(seed)
    idx = torch.randperm(len(d.target), generator=g)
    x = (torch.tensor(d.data).float()[idx] - 4.9) / 6.0
    y = torch.tensor(d.target)[idx]
    return x[:1250], y[:1250], x[1250:], y[1250:]

def build():
    return nn.Sequential(
        nn.Linear(64, 80), nn.BatchNorm1d(80), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(80, 80), nn.BatchNorm1d(80), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(80, 10))

def run(seed, epochs=10, batch_size=50, lr=0.1):
    torch.manual_seed(seed)
    x_train, y_train, x_test, y_test = get_data(seed)
    net = build()
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    sched = CosineAnnealingLR(opt, T_max=epochs)
    for epoch in range(epochs):
        net.train()
        for b in torch.randperm(len(x_train)).split(batch_size):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(net(x_train[b]), y_train[b], label_smoothing=0.1)
            loss.backward()
            opt.step()
        sched.step()
    net.eval()
    with torch.no_grad():
        return (net(x_test).argmax(1) == y_test).float().mean().item()

print("score", run(int(sys.argv[1])))
