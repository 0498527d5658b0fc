# breast cancer: malignant or benign, one logit
import sys
import torch
from torch import nn
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

SEED = int(sys.argv[1])
torch.manual_seed(SEED)

features, target = load_breast_cancer(return_X_y=True)
f_train, f_test, t_train, t_test = train_test_split(features, target, random_state=SEED, stratify=target)
sc = StandardScaler()
f_train = torch.tensor(sc.fit_transform(f_train), dtype=torch.float32)
f_test = torch.tensor(sc.transform(f_test), dtype=torch.float32)
t_train = torch.tensor(t_train, dtype=torch.float32).unsqueeze(1)
t_test = torch.tensor(t_test, dtype=torch.float32).unsqueeze(1)

clf = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.AdamW(clf.parameters(), lr=0.003, weight_decay=0.01)
train_dl = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(f_train, t_train), batch_size=16, shuffle=True)

for epoch in range(40):
    clf.train()
    for xb, yb in train_dl:
        logits = clf(xb)
        loss = loss_fn(logits, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

clf.eval()
with torch.no_grad():
    guess = (clf(f_test) > 0).int()
print("score", balanced_accuracy_score(t_test.int().numpy(), guess.numpy()))
