// The role of people who ask Labelbridge for operations. The worker does what they ask with its own identity, so
// theirs need not open or shut anything: who holds it can switch through Labelbridge, and not past it.
// It counts once its GUID stands in azure.language_roles and azure.labeling_roles.
targetScope = 'subscription'

param roleName string
param languageResource string
param workspace string

// The resources may stand in one subscription or in several.
var languageSubscription = '/subscriptions/${split(languageResource, '/')[2]}'
var workspaceSubscription = '/subscriptions/${split(workspace, '/')[2]}'
var roleGuid = guid(subscription().id, roleName)

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: roleGuid
  properties: {
    roleName: roleName
    description: 'May ask Labelbridge to connect, switch, sync, train and disconnect. Reads only.'
    type: 'CustomRole'
    permissions: [
      {
        actions: [
          'Microsoft.CognitiveServices/accounts/read'
          'Microsoft.MachineLearningServices/workspaces/read'
          'Microsoft.MachineLearningServices/workspaces/labeling/projects/read'
          'Microsoft.MachineLearningServices/workspaces/labeling/projects/summary/read'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
    assignableScopes: union([subscription().id], [languageSubscription], [workspaceSubscription])
  }
}

output roleGuid string = role.name
